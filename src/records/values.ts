import type { Fault } from '../problems.ts'
import { pointerPart } from '../shared/json-pointer.ts'

/** HighLevel's values nest two deep. Beyond this a value cannot be written out again without a risk to the stack. */
const MAX_DEPTH = 16
const MAX_KEY_CHARS = 256

const MAX_FAULTS = 100
const none: readonly Fault[] = []

const isGoodKey = (key: string) => key !== '' && key.length <= MAX_KEY_CHARS

/** The path of every call: nothing is allocated for values that are sound. */
function isSound(value: unknown, depth: number): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  if (depth === MAX_DEPTH) return false
  for (const member of Object.values(value)) {
    if (typeof member !== 'string' && !isSound(member, depth + 1)) return false
  }
  return true
}

function* faultsAt(value: unknown, pointer: string, depth: number): Generator<Fault> {
  // JSON can write 1e999; an IEEE number cannot hold it, and it would be written out as null: it would clear the field.
  if (typeof value === 'number' && !Number.isFinite(value)) {
    yield { pointer, code: 'out-of-range', detail: 'is too large for a number' }
  }
  if (typeof value !== 'object' || value === null) return
  if (depth === MAX_DEPTH) return yield { pointer, code: 'too-deep', detail: `is nested more than ${MAX_DEPTH} deep` }
  for (const [key, member] of Object.entries(value))
    yield* faultsAt(member, `${pointer}/${pointerPart(key)}`, depth + 1)
}

function* keyFaults(properties: object): Generator<Fault> {
  for (const key of Object.keys(properties)) {
    if (isGoodKey(key)) continue
    const pointer = `/properties/${pointerPart(key.slice(0, MAX_KEY_CHARS))}`
    yield { pointer, code: 'bad-format', detail: `must be a field key of 1 to ${MAX_KEY_CHARS} characters` }
  }
}

/** Faults of the values in `properties` that hold for every object of every location. The body may be anything. */
export function valueFaults(body: unknown): readonly Fault[] {
  const properties = (body as { properties?: unknown } | null | undefined)?.properties
  if (typeof properties !== 'object' || properties === null) return none
  if (Object.keys(properties).every(isGoodKey) && isSound(properties, 0)) return none
  return [...keyFaults(properties), ...faultsAt(properties, '/properties', 0)].slice(0, MAX_FAULTS)
}
