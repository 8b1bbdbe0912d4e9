import type { Field } from '../schemas/fields/field.ts'
import { isObject } from '../shared/json.ts'

/** Other types are not compared, because HighLevel may replace their values: a country by its code, for example. */
const COMPARED_TYPES = new Set(
  'TEXT LARGE_TEXT EMAIL NUMERICAL PHONE MONETORY SINGLE_OPTIONS RADIO DATE TEXTBOX_LIST'.split(' ')
)

/**
 * Whether a stored value may be the one that was sent, allowing for HighLevel's rewriting: phone numbers and amounts in
 * another format, dates with a time, strings trimmed, cleaned, shortened or in another case. In doubt the answer is
 * true: only values that certainly differ are told apart.
 */
export function isSameValue(sent: unknown, stored: unknown, field?: Field): boolean {
  if (sent === stored || (field !== undefined && !COMPARED_TYPES.has(field.dataType))) return true
  if (typeof sent === 'boolean') return typeof stored !== 'boolean'
  if (typeof sent === 'string') return isSameText(sent, stored, field)
  const amount = amountOf(sent)
  // Values of other shapes cannot be compared.
  return typeof amount !== 'number' || isSameNumber(amount, amountOf(stored))
}

const amountOf = (value: unknown): unknown => (isObject(value) ? value['value'] : value)

/** HighLevel may cut off or round decimals. It keeps whole numbers. */
const isNear = (sent: number, stored: number) =>
  Math.abs(sent - stored) <= Math.max(Number.isInteger(sent) ? 0 : 0.999, Math.abs(sent) * 1e-9)

const digitsOf = (text: string) => text.replace(/[^0-9]/g, '').replace(/^0+/, '')

const eitherContains = (a: string, b: string) => a.includes(b) || b.includes(a)

function isSameNumber(sent: number, stored: unknown): boolean {
  if (typeof stored === 'number') return isNear(sent, stored)
  if (typeof stored !== 'string') return true
  const parsed = Number(stored)
  // With currency signs or thousands separators, only the digits can be compared.
  return Number.isNaN(parsed) ? eitherContains(digitsOf(String(sent)), digitsOf(stored)) : isNear(sent, parsed)
}

const DAY_MS = 86_400_000
const STARTS_WITH_DATE = /^\d{4}-\d\d-\d\d/
const DATE = /^\d{4}-\d\d-\d\d$/
const sorted = (digits: string) => [...digits].sort().join('')

/** A stored time may be in another time zone. A stored date without a time may have its parts in another order. */
function isSameDate(sent: string, stored: string | number): boolean {
  if (typeof stored === 'string' && DATE.test(stored)) return sent.startsWith(stored)
  if (typeof stored === 'string' && sorted(digitsOf(stored)) === sorted(digitsOf(sent))) return true
  const differenceMs = Math.abs(new Date(sent).getTime() - new Date(stored).getTime())
  // Negated, so that a stored value that is no date (NaN) counts as the same.
  return !(differenceMs > 1.5 * DAY_MS)
}

/** Letters and digits only, in lower case, without accents: the part of a string that survives any rewriting. */
export const normalizeText = (text: string): string =>
  text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '')

/** HighLevel may strip or insert markup and escapes anywhere in a string. */
const MARKUP = /[<>&%\\]/
const stripMarkup = (text: string) => normalizeText(text.replace(/<[^<>]*>|&#?\w+;|%[0-9a-f]{2}/gi, ''))

/** Whether the characters of `part` occur in `whole` in the same order, with or without others between. */
function isSubsequence(part: string, whole: string): boolean {
  let at = 0
  for (const char of part) {
    at = whole.indexOf(char, at) + 1
    if (at === 0) return false
  }
  return true
}

const PHONE = /^[+(]?\d[\d\s()./-]{5,}$/

/** The country code may be missing, or replaced by a leading zero. */
function isSamePhone(sent: string, stored: string): boolean {
  const [a, b] = [digitsOf(sent), digitsOf(stored)]
  return a.endsWith(b) || b.endsWith(a)
}

function isSameText(sent: string, stored: unknown, field: Field | undefined): boolean {
  if (typeof stored === 'number') {
    return STARTS_WITH_DATE.test(sent) ? isSameDate(sent, stored) : isSameNumber(stored, sent)
  }
  if (typeof stored !== 'string') return true
  const keyOf = field?.options.keyOf
  const [sentKey, storedKey] = [keyOf?.get(sent), keyOf?.get(stored)]
  if (sentKey !== undefined && storedKey !== undefined) return sentKey === storedKey
  const [a, b] = [normalizeText(sent), normalizeText(stored)]
  if (eitherContains(a, b)) return true
  if (MARKUP.test(sent) || MARKUP.test(stored)) {
    return isSubsequence(a, b) || isSubsequence(b, a) || eitherContains(stripMarkup(sent), stripMarkup(stored))
  }
  if (STARTS_WITH_DATE.test(sent)) return isSameDate(sent, stored)
  return PHONE.test(sent) && isSamePhone(sent, stored)
}
