import { Refusal, requestRefusal } from './answers.ts'
import { applyDelta, isObject, parseDelta } from './delta.ts'
import type { Field } from './objects.ts'

/**
 * How a data type handles a value of a PUT: returns the value to store, or throws a Refusal. Never called with `null`.
 * Where users have observed that HighLevel answers 200 and stores null, the rule does the same. Messages that nobody
 * has reported are guesses.
 */
type Rule = (value: unknown, field: Field, stored: unknown) => unknown

const LARGE_TEXT_MAX = 12_000

export const unexpectedFormat = ({ name }: Field) =>
  requestRefusal(422, `We couldn't apply updates to ${name} due to an unexpected format.`)

const text: Rule = (value, field) => {
  if (typeof value !== 'string') throw unexpectedFormat(field)
  return value
}

const largeText: Rule = (value, field) => {
  if (typeof value !== 'string') throw unexpectedFormat(field)
  if (value.length <= LARGE_TEXT_MAX) return value
  throw requestRefusal(400, `${value} exceeds the 12,000 character limit for ${field.name}.`)
}

const numerical: Rule = (value, field) => {
  if (typeof value === 'number') return value
  if (typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value))) return Number(value)
  throw unexpectedFormat(field)
}

const phone: Rule = (value, { name }) => {
  if (typeof value === 'string' && /^\+[1-9]\d{6,14}$/.test(value)) return value
  throw requestRefusal(400, `${name} is not a valid phone number.`)
}

const money: Rule = (value, field) => {
  if (typeof value === 'number') throw requestRefusal(400, `${field.name} is missing a currency code`)
  if (!isObject(value) || typeof value['value'] !== 'number') throw unexpectedFormat(field)
  if (value['currency'] === undefined) throw requestRefusal(400, `${field.name} is missing a currency code`)
  if (value['currency'] !== 'default') throw requestRefusal(400, `${field.name} has an unsupported currency code`)
  return { currency: 'default', value: value['value'] }
}

/** An empty date is stored as 1970, with a 200, as HighLevel did. */
const date: Rule = (value, { name }) => {
  if (value === '') return '1970-01-01'
  if (typeof value === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(value) && isCalendarDay(value)) return value
  throw requestRefusal(400, `${name} is not a valid date.`)
}

function isCalendarDay(value: string): boolean {
  const day = new Date(`${value}T00:00:00Z`)
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(value)
}

/** Only CHECKBOX resolves labels to keys. Unknown keys are dropped silently. */
const choices =
  (resolvesLabels: boolean): Rule =>
  (value, field, stored) => {
    if (typeof value === 'string' || typeof value === 'boolean') return null
    const delta = parseDelta(value)
    if (delta === undefined) throw unexpectedFormat(field)
    const current = listOf(stored, delta.remove.length > 0, field)
    const keyOf = (one: unknown) =>
      field.options?.find(({ key, label }) => key === one || (resolvesLabels && label === one))?.key
    const keys = (list: unknown[]) => list.map(keyOf).filter((key) => key !== undefined)
    return applyDelta<unknown>(current, keys(delta.add), keys(delta.remove), (key) => key)
  }

/** The stored value may date from a former data type of the field. Then neither adding nor removing works. */
function listOf(stored: unknown, removes: boolean, { name }: Field): unknown[] {
  if (Array.isArray(stored)) return stored
  if (stored === undefined || stored === null) return []
  if (removes) throw requestRefusal(400, `${name} includes values that don't match what's saved.`)
  throw new Refusal(500, { statusCode: 500, message: 'Something went wrong' })
}

const files: Rule = (value, field, stored) => {
  if (typeof value === 'string') return null
  const delta = parseDelta(value)
  const isFile = (one: unknown) => isObject(one) && typeof one['url'] === 'string'
  if (delta === undefined || ![...delta.add, ...delta.remove].every(isFile)) {
    throw requestRefusal(422, `We couldn't process file updates for ${field.name}.`)
  }
  const current = listOf(stored, delta.remove.length > 0, field)
  const next = applyDelta(current, delta.add, delta.remove, (file) => (isObject(file) ? file['url'] : undefined))
  const max = field.maxFileLimit ?? Number.POSITIVE_INFINITY
  if (next.length <= max) return next
  throw requestRefusal(400, `Too many files for ${field.name}. Maximum allowed: ${max}.`)
}

const RULES = new Map<string, Rule>(
  Object.entries({
    TEXT: text,
    LARGE_TEXT: largeText,
    NUMERICAL: numerical,
    PHONE: phone,
    MONETORY: money,
    // Any string is stored unchanged, even a label or an unknown key.
    SINGLE_OPTIONS: text,
    RADIO: text,
    MULTIPLE_OPTIONS: choices(false),
    CHECKBOX: choices(true),
    DATE: date,
    // For one option of the list. The field as a whole accepts only null.
    TEXTBOX_LIST: text,
    FILE_UPLOAD: files,
    EMAIL: text,
    STANDARD_FIELD: text
  } satisfies Record<string, Rule>)
)

const storeUnchanged: Rule = (value) => value

export const findRule = (field: Field): Rule => RULES.get(field.dataType) ?? storeUnchanged
