import type { FieldError } from '../problems/problem.ts'
import { hasAtMostChars, isText, MAX_KEY_CHARS } from '../schemas/fields/text-rules.ts'
import { escapePointerToken } from '../shared/json.ts'

/** HighLevel's values nest two levels deep. Serializing much deeper values could overflow the stack. */
const MAX_DEPTH = 16
/** Pointers can be long: this keeps the answer within some tens of kilobytes. */
const MAX_ERRORS = 50

const BAD_KEY = `must be a key of 1 to ${MAX_KEY_CHARS} characters, without NUL and lone surrogates`

const noErrors: readonly FieldError[] = []

const isKey = (key: string) => hasAtMostChars(key, MAX_KEY_CHARS) && isText(key)

/**
 * Runs on every call, so it allocates nothing for valid values. Without an escape in the body no string can hold NUL or
 * a lone surrogate: JSON allows no raw NUL, and UTF-8 no lone surrogate.
 */
function isValid(value: unknown, depth: number, hasEscapes: boolean): boolean {
  if (typeof value === 'string') return !hasEscapes || isText(value)
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  if (depth === MAX_DEPTH) return false
  if (Array.isArray(value)) {
    for (const item of value) if (!isValid(item, depth + 1, hasEscapes)) return false
    return true
  }
  for (const key in value) {
    if ((hasEscapes || key.length > MAX_KEY_CHARS) && !isKey(key)) return false
    if (!isValid((value as Record<string, unknown>)[key], depth + 1, hasEscapes)) return false
  }
  return true
}

function* findErrors(value: unknown, pointer: string, depth: number): Generator<FieldError> {
  // JSON can express 1e999, but a double cannot hold it. It would be serialized as null and clear the field.
  if (typeof value === 'number' && !Number.isFinite(value)) {
    yield { pointer, code: 'out-of-range', detail: 'is too large for a number' }
  }
  if (typeof value === 'string' && !isText(value)) {
    yield { pointer, code: 'bad-format', detail: 'must not contain NUL or a lone surrogate' }
  }
  if (typeof value !== 'object' || value === null) return
  if (depth === MAX_DEPTH) {
    return yield { pointer, code: 'too-deep', detail: `must be nested at most ${MAX_DEPTH} levels deep` }
  }
  for (const [key, member] of Object.entries(value)) {
    const memberPointer = `${pointer}/${escapePointerToken(key.slice(0, MAX_KEY_CHARS).toWellFormed())}`
    if (isKey(key) && (key !== '' || depth > 0)) yield* findErrors(member, memberPointer, depth + 1)
    else yield { pointer: memberPointer, code: 'bad-format', detail: BAD_KEY }
  }
}

/**
 * Checks the limits of `properties` that apply to every object of every location. The body may be anything.
 * `hasEscapes` is whether its JSON has `\u` escapes.
 */
export function bodyLimitErrors(body: unknown, hasEscapes: boolean): readonly FieldError[] {
  const properties = (body as { properties?: unknown } | null | undefined)?.properties
  if (typeof properties !== 'object' || properties === null) return noErrors
  if (isValid(properties, 0, hasEscapes) && !Object.hasOwn(properties, '')) return noErrors
  const errors: FieldError[] = []
  for (const error of findErrors(properties, '/properties', 0)) if (errors.push(error) === MAX_ERRORS) break
  return errors
}
