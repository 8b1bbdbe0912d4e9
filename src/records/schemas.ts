import Type, { type Static } from 'typebox'

/** An object's key or id, as it stands in HighLevel's path. */
const SchemaKey = Type.String({
  pattern: '^(?!.*\\.\\.)[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$',
  description: 'custom_objects.<name>, business or an object id'
})
const RecordId = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: '1 to 64 letters, digits, _ or -' })
const LocationId = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'one location id' })
const UserId = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'a user id' })

export const RecordPath = Type.Object({ schemaKey: SchemaKey, id: RecordId })
export type RecordPath = Static<typeof RecordPath>

/** Left out where the caller's key is bound to exactly one location. */
export const RecordQuery = Type.Object({ locationId: Type.Optional(LocationId) }, { additionalProperties: false })
export type RecordQuery = Static<typeof RecordQuery>

export const RecordHeaders = Type.Object({
  // Refused, not ignored: who sends it counts on the write being conditional.
  'if-match': Type.Optional(Type.Unsafe<never>({ not: {}, description: 'left out: writes are not conditional here' })),
  'x-request-timeout-ms': Type.Optional(
    Type.String({ pattern: '^[1-9][0-9]{0,6}$', description: 'a whole number of milliseconds from 1 on' })
  )
})
export type RecordHeaders = Static<typeof RecordHeaders>

const users = (max: number) => {
  const ids = Type.Array(UserId, { maxItems: max, description: `a list of at most ${max} user ids` })
  const delta = Type.Object(
    {
      add: Type.Optional(ids),
      remove: Type.Optional(Type.Array(UserId, { maxItems: 100, description: 'a list of user ids' }))
    },
    { additionalProperties: false, minProperties: 1, description: 'an object with add, remove or both' }
  )
  return Type.Union([ids, delta], { description: 'the wanted list of user ids, or { "add": [...], "remove": [...] }' })
}

/** The wanted users, or a change of them. */
export type Users = readonly string[] | { add?: readonly string[]; remove?: readonly string[] }

export const RecordPatch = Type.Object(
  {
    properties: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        minProperties: 1,
        description: 'an object with one member for each field to change: short field key, new value, null to clear'
      })
    ),
    owner: Type.Optional(users(1)),
    followers: Type.Optional(users(10))
  },
  { additionalProperties: false, minProperties: 1, description: 'an object with properties, owner or followers' }
)
export type RecordPatch = Static<typeof RecordPatch>
