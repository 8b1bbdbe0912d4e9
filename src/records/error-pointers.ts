import { type FieldError, Problem } from '../problems/problem.ts'
import type { Field } from '../schemas/fields/field.ts'
import { fieldOf, type ObjectSchema } from '../schemas/object-schema.ts'
import { escapePointerToken, unescapePointerToken } from '../shared/json.ts'
import type { RecordPatch } from './schemas.ts'

/** One member of a patch's properties, and its field where that is known. */
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

/** Where the caller has written what HighLevel knows by a key: a box of a list stands in an object of its own. */
export function createPointerOf(patch: RecordPatch, schema: ObjectSchema | undefined): (key: string) => string {
  const members = membersOf(patch, schema)

  return (key) => {
    const own = members.find((member) => member.key === key)
    if (own !== undefined) return pointerTo(own.name)
    const list = members.find((member) => key.startsWith(`${member.key}.`) && typeof member.value === 'object')
    if (list === undefined) return pointerTo(key)
    const box = key.slice(list.key.length + 1)
    const names = Object.keys(list.value ?? {})
    const name = names.find((one) => one === box || list.field?.options.keyOf.get(one) === box)
    return name === undefined ? pointerTo(list.name) : `${pointerTo(list.name)}/${escapePointerToken(name)}`
  }
}

const isWord = (char: string | undefined) => char !== undefined && /[\p{L}\p{N}_]/u.test(char)

/** Whether a sentence of HighLevel's has this name in it, and not as a part of a longer word. */
function mentions(message: string, name: string): boolean {
  for (let at = message.indexOf(name); at !== -1; at = message.indexOf(name, at + 1)) {
    if (!isWord(message[at - 1]) && !isWord(message[at + name.length])) return true
  }
  return false
}

/** The members whose names stand in a message. Where one name is a part of another, the longer one is meant. */
function mentioned(message: string, members: readonly Member[], nameOf: (member: Member) => string | undefined) {
  const found = members
    .map((member) => ({ member, said: nameOf(member) }))
    .filter((one): one is { member: Member; said: string } => one.said !== undefined && mentions(message, one.said))
  return found
    .filter(({ said }) => !found.some((other) => other.said.length > said.length && other.said.includes(said)))
    .map(({ member }) => member)
}

const rejected = ({ name }: Member): FieldError => ({
  pointer: pointerTo(name),
  code: 'rejected',
  detail: 'was refused by HighLevel: see upstream.message'
})

/**
 * A refusal with pointers to the members that it is about, as the caller has named them: HighLevel names a field in its
 * message, or else its key.
 */
function addPointers(problem: Problem, schema: ObjectSchema | undefined, patch: RecordPatch): Problem {
  const { errors, upstream } = problem.extras
  if (errors !== undefined) {
    const pointerOf = createPointerOf(patch, schema)
    const own = (pointer: string) => pointerOf(unescapePointerToken(pointer.slice(ROOT.length)))
    return problem.with({
      errors: errors.map((fault) => ('pointer' in fault ? { ...fault, pointer: own(fault.pointer) } : fault))
    })
  }
  if (upstream?.message === undefined) return problem
  const members = membersOf(patch, schema)
  const named = mentioned(upstream.message, members, ({ field }) => field?.name)
  const found = named.length > 0 ? named : mentioned(upstream.message, members, ({ key }) => key)
  return found.length === 0 ? problem : problem.with({ errors: found.map(rejected) })
}

/** HighLevel's refusal of the values, with pointers; `undefined` for any other error. */
export const withPointers = (error: unknown, schema: ObjectSchema | undefined, patch: RecordPatch) =>
  error instanceof Problem && (error.code === 'upstream-rejected' || error.code === 'duplicate-value')
    ? addPointers(error, schema, patch)
    : undefined
