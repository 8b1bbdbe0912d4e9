import type { FieldError } from '../problems/problem.ts'
import { hasAtMostChars, isText, MAX_KEY_CHARS } from '../schemas/fields/text-rules.ts'
import { escapePointerToken } from '../shared/json.ts'

/** HighLevel's values nest two deep. Beyond this a value cannot be written out again without a risk to the stack. */
const MAX_DEPTH = 16
/** Pointers may be long here: the answer stays within some tens of kilobytes. */
const MAX_FAULTS = 50

const BAD_KEY = `must be a key of 1 to ${MAX_KEY_CHARS} characters, without NUL and halves of surrogate pairs`

const none: readonly FieldError[] = []

const isKey = (key: string) => hasAtMostChars(key, MAX_KEY_CHARS) && isText(key)

/** On the path of every call: nothing is kept of values that are sound. */
function isSound(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return isText(value)
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  if (depth === MAX_DEPTH || !Object.keys(value).every(isKey)) return false
  for (const member of Object.values(value)) {
    if (!isSound(member, depth + 1)) return false
  }
  return true
}

function* faultsAt(value: unknown, pointer: string, depth: number): Generator<FieldError> {
  // JSON can write 1e999; an IEEE number cannot hold it, and it would be written out as null: it would clear the field.
  if (typeof value === 'number' && !Number.isFinite(value)) {
    yield { pointer, code: 'out-of-range', detail: 'is too large for a number' }
  }
  if (typeof value === 'string' && !isText(value)) {
    yield { pointer, code: 'bad-format', detail: 'holds a NUL, or half of a surrogate pair' }
  }
  if (typeof value !== 'object' || value === null) return
  if (depth === MAX_DEPTH) return yield { pointer, code: 'too-deep', detail: `is nested more than ${MAX_DEPTH} deep` }
  for (const [key, member] of Object.entries(value)) {
    const at = `${pointer}/${escapePointerToken(key.slice(0, MAX_KEY_CHARS).toWellFormed())}`
    if (isKey(key) && (key !== '' || depth > 0)) yield* faultsAt(member, at, depth + 1)
    else yield { pointer: at, code: 'bad-format', detail: BAD_KEY }
  }
}

/** Faults of the values in `properties` that hold for every object of every location. The body may be anything. */
export function bodyLimitErrors(body: unknown): readonly FieldError[] {
  const properties = (body as { properties?: unknown } | null | undefined)?.properties
  if (typeof properties !== 'object' || properties === null) return none
  if (isSound(properties, 0) && !Object.hasOwn(properties, '')) return none
  const faults: FieldError[] = []
  for (const fault of faultsAt(properties, '/properties', 0)) if (faults.push(fault) === MAX_FAULTS) break
  return faults
}
