import Type, { type Static } from 'typebox'
import { ETagList, readConditionHeaders, unsupportedHeader } from '../http/etag.ts'
import { LocationId, SchemaKey, TimeoutMs } from '../http/parameters.ts'
import { ID } from '../shared/ids.ts'

const RecordId = Type.String({ pattern: ID.source, description: '1 to 64 letters, digits, _ or -' })
const UserId = Type.String({ pattern: ID.source, description: 'a user id' })

export const RecordPath = Type.Object({ schemaKey: SchemaKey, id: RecordId })
export type RecordPath = Static<typeof RecordPath>

/** `locationId` is optional for a caller that may access exactly one location. */
export const RecordQuery = Type.Object({ locationId: Type.Optional(LocationId) }, { additionalProperties: false })
export type RecordQuery = Static<typeof RecordQuery>

export const ReadHeaders = Type.Object({
  ...readConditionHeaders,
  'x-request-timeout-ms': Type.Optional(TimeoutMs)
})

export const WriteQuery = Type.Object(
  {
    locationId: Type.Optional(LocationId),
    dryRun: Type.Optional(Type.String({ pattern: '^(?:true|false)$', description: 'true or false' }))
  },
  { additionalProperties: false }
)
export type WriteQuery = Static<typeof WriteQuery>

const unsupported = unsupportedHeader('a write supports only If-Match')

export const WriteHeaders = Type.Object({
  'if-match': Type.Optional(ETagList),
  'if-none-match': unsupported,
  'if-unmodified-since': unsupported,
  'x-request-timeout-ms': Type.Optional(TimeoutMs)
})

const assigneesSchema = (max: number) => {
  const ids = Type.Array(UserId, { maxItems: max, description: `a list of at most ${max} user ids` })
  const delta = Type.Object(
    {
      add: Type.Optional(ids),
      remove: Type.Optional(Type.Array(UserId, { maxItems: 100, description: 'a list of user ids' }))
    },
    { additionalProperties: false, minProperties: 1, description: 'an object with add, remove or both' }
  )
  return Type.Union([ids, delta], { description: 'a list of user ids, or { "add": [...], "remove": [...] }' })
}

/** User ids: a wanted list or a delta. */
export type Assignees = readonly string[] | { add?: readonly string[]; remove?: readonly string[] }

export const RecordPatch = Type.Object(
  {
    properties: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        minProperties: 1,
        description:
          'an object with a member for each field to change: its short key and its new value, or null to clear it'
      })
    ),
    owner: Type.Optional(assigneesSchema(1)),
    followers: Type.Optional(assigneesSchema(10))
  },
  { additionalProperties: false, minProperties: 1, description: 'an object with properties, owner or followers' }
)
export type RecordPatch = Static<typeof RecordPatch>
