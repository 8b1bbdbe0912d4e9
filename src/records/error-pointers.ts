import { type FieldError, Problem } from '../problems/problem.ts'
import type { Field } from '../schemas/fields/field.ts'
import { fieldOf, type ObjectSchema } from '../schemas/object-schema.ts'
import { escapePointerToken, unescapePointerToken } from '../shared/json.ts'
import type { RecordPatch } from './request-schemas.ts'

/** One member of a patch's properties, with its field if that is known. */
interface Member {
  name: string
  key: string
  field: Field | undefined
  value: unknown
}

const ROOT = '/properties/'
const pointerTo = (name: string) => `${ROOT}${escapePointerToken(name)}`

const membersOf = ({ properties = {} }: RecordPatch, schema: ObjectSchema | undefined): Member[] =>
  Object.entries(properties).map(([name, value]) => {
    const field = schema && fieldOf(schema, name)
    return { name, key: field?.key ?? name, field, value }
  })

/**
 * Returns a function from HighLevel's key to the place in the caller's body. For HighLevel a text box is a property of
 * its own, for the caller it may be a member of the list's object.
 */
export function createPointerLookup(patch: RecordPatch, schema: ObjectSchema | undefined): (key: string) => string {
  const members = membersOf(patch, schema)

  return (key) => {
    const own = members.find((member) => member.key === key)
    if (own !== undefined) return pointerTo(own.name)
    const list = members.find((member) => key.startsWith(`${member.key}.`) && typeof member.value === 'object')
    if (list === undefined) return pointerTo(key)
    const box = key.slice(list.key.length + 1)
    const boxNames = Object.keys(list.value ?? {})
    const name = boxNames.find((boxName) => boxName === box || list.field?.options.keyOf.get(boxName) === box)
    return name === undefined ? pointerTo(list.name) : `${pointerTo(list.name)}/${escapePointerToken(name)}`
  }
}

const isWordChar = (char: string | undefined) => char !== undefined && /[\p{L}\p{N}_]/u.test(char)

/** Whether a message contains the name as a word of its own. */
function mentions(message: string, name: string): boolean {
  for (let at = message.indexOf(name); at !== -1; at = message.indexOf(name, at + 1)) {
    if (!isWordChar(message[at - 1]) && !isWordChar(message[at + name.length])) return true
  }
  return false
}

/** The members that a message mentions. Where one name contains another, only the longer one counts. */
function mentionedMembers(message: string, members: readonly Member[], nameOf: (member: Member) => string | undefined) {
  const found = members
    .map((member) => ({ member, name: nameOf(member) }))
    .filter((one): one is { member: Member; name: string } => one.name !== undefined && mentions(message, one.name))
  return found
    .filter(({ name }) => !found.some((other) => other.name.length > name.length && other.name.includes(name)))
    .map(({ member }) => member)
}

const rejectedError = ({ name }: Member): FieldError => ({
  pointer: pointerTo(name),
  code: 'rejected',
  detail: 'was rejected by HighLevel: see upstream.message'
})

/**
 * Adds pointers to the members that HighLevel rejected, under the caller's names for them. HighLevel's message mentions
 * a field by its name or by its key.
 */
function addPointers(problem: Problem, schema: ObjectSchema | undefined, patch: RecordPatch): Problem {
  const { errors, upstream } = problem.extras
  if (errors !== undefined) {
    const lookup = createPointerLookup(patch, schema)
    const translate = (pointer: string) => lookup(unescapePointerToken(pointer.slice(ROOT.length)))
    return problem.with({
      errors: errors.map((error) => ('pointer' in error ? { ...error, pointer: translate(error.pointer) } : error))
    })
  }
  if (upstream?.message === undefined) return problem
  const members = membersOf(patch, schema)
  const byName = mentionedMembers(upstream.message, members, ({ field }) => field?.name)
  const found = byName.length > 0 ? byName : mentionedMembers(upstream.message, members, ({ key }) => key)
  return found.length === 0 ? problem : problem.with({ errors: found.map(rejectedError) })
}

/** HighLevel's rejection of values, with pointers. `undefined` for any other error. */
export const withPointers = (error: unknown, schema: ObjectSchema | undefined, patch: RecordPatch) =>
  error instanceof Problem && (error.code === 'upstream-rejected' || error.code === 'duplicate-value')
    ? addPointers(error, schema, patch)
    : undefined
