import { fieldOf, type ObjectSchema } from '../objects/object-schema.ts'
import { type Fault, Problem } from '../problems.ts'
import { pointerPart } from '../shared/json-pointer.ts'
import type { RecordPatch } from './schemas.ts'
import type { WritePlan } from './write-plan.ts'

const none: readonly Fault[] = []

const pointerTo = (name: string) => `/properties/${pointerPart(name)}`

/** The members of a patch, with the name of each one's field as HighLevel shows it, and its key. */
const namesOf = ({ properties = {} }: RecordPatch, schema: ObjectSchema | undefined) =>
  Object.keys(properties).map((member) => {
    const field = schema && fieldOf(schema, member)
    return { member, key: field?.key ?? member, name: field?.name }
  })

const isWord = (char: string | undefined) => char !== undefined && /[\p{L}\p{N}_]/u.test(char)

/** Whether a sentence of HighLevel's has this name in it, and not as a part of a longer word. */
function mentions(message: string, name: string): boolean {
  for (let at = message.indexOf(name); at !== -1; at = message.indexOf(name, at + 1)) {
    if (!isWord(message[at - 1]) && !isWord(message[at + name.length])) return true
  }
  return false
}

const rejected = (member: string): Fault => ({
  pointer: pointerTo(member),
  code: 'rejected',
  detail: 'was refused by HighLevel: see upstream.message'
})

/**
 * A refusal with pointers to the members that it is about, as the caller has named them: HighLevel names a field in its
 * message, or tells its key. Where one name is a part of another, the longer one is meant.
 */
function withPointers(problem: Problem, schema: ObjectSchema | undefined, patch: RecordPatch): Problem {
  const { errors, upstream } = problem.extras
  const members = namesOf(patch, schema)
  if (errors !== undefined) {
    const own = ({ key, member }: (typeof members)[number]) => [pointerTo(key), pointerTo(member)] as const
    const byPointer = new Map(members.map(own))
    const renamed = errors.map((fault) =>
      'pointer' in fault ? { ...fault, pointer: byPointer.get(fault.pointer) ?? fault.pointer } : fault
    )
    return new Problem(problem.code, problem.detail, { ...problem.extras, errors: renamed })
  }
  if (upstream?.message === undefined) return problem
  const { message } = upstream
  const found = members
    .map(({ member, key, name }) => ({ member, said: [name, key].find((one) => one && mentions(message, one)) }))
    .filter((one): one is { member: string; said: string } => one.said !== undefined)
  const isMeant = ({ said }: { said: string }) =>
    !found.some((other) => other.said.length > said.length && other.said.includes(said))
  const named = found.filter(isMeant).map(({ member }) => rejected(member))
  return named.length === 0 ? problem : new Problem(problem.code, problem.detail, { ...problem.extras, errors: named })
}

/** HighLevel's refusal of the values, with pointers; `undefined` for any other error. */
export const rejectionIn = (error: unknown, schema: ObjectSchema | undefined, patch: RecordPatch) =>
  error instanceof Problem && (error.code === 'upstream-rejected' || error.code === 'duplicate-value')
    ? withPointers(error, schema, patch)
    : undefined

/** A change of a list that only takes away may leave nothing. */
const isFilled = (value: unknown) => {
  if (typeof value !== 'object' || value === null) return value !== null && value !== ''
  return !('remove' in value) || 'add' in value
}

/** Members that were to be filled, and that HighLevel's answer shows empty: it stores shapes that it does not know as null. */
export function lostFaults(
  { properties }: WritePlan,
  schema: ObjectSchema | undefined,
  patch: RecordPatch,
  record: Record<string, unknown>
): readonly Fault[] {
  const held = record['properties']
  if (properties === undefined || typeof held !== 'object' || held === null) return none
  const stored = held as Record<string, unknown>
  const { ready } = properties
  const lost: string[] = []
  for (const key of Object.keys(ready)) if (stored[key] === null && isFilled(ready[key])) lost.push(key)
  if (lost.length === 0) return none
  const members = namesOf(patch, schema)
  return lost.map((lostKey): Fault => {
    const own = members.find(({ key }) => lostKey === key || lostKey.startsWith(`${key}.`))
    return {
      pointer: pointerTo(own?.member ?? lostKey),
      code: 'not-stored',
      detail: 'was taken by HighLevel, and stored as empty'
    }
  })
}
