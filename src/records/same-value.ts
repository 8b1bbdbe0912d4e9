import type { Field } from '../schemas/fields/field.ts'
import { isObject } from '../shared/json.ts'

/** How HighLevel rewrites values of other types is not known: a standard field may hold a code in place of a country. */
const KNOWN_TYPES = new Set(
  'TEXT LARGE_TEXT EMAIL NUMERICAL PHONE MONETORY SINGLE_OPTIONS RADIO DATE TEXTBOX_LIST'.split(' ')
)

/**
 * Whether a stored value may be the one that was sent, as HighLevel may have rewritten it: phone numbers and amounts in
 * another format, days with a time, texts trimmed, cleaned or shortened, letters in another case. Only what cannot be the
 * value sent is told from it: where that is not sure, it is the same.
 */
export function isSameValue(sent: unknown, stored: unknown, field?: Field): boolean {
  if (sent === stored || (field !== undefined && !KNOWN_TYPES.has(field.dataType))) return true
  if (typeof sent === 'boolean') return typeof stored !== 'boolean'
  if (typeof sent === 'string') return isSameText(sent, stored, field)
  const amount = amountOf(sent)
  // Of other shapes nothing is known.
  return typeof amount !== 'number' || isSameNumber(amount, amountOf(stored))
}

const amountOf = (value: unknown): unknown => (isObject(value) ? value['value'] : value)

/** Decimals may be cut off or rounded; whole numbers are as they are. */
const isNear = (sent: number, stored: number) =>
  Math.abs(sent - stored) <= Math.max(Number.isInteger(sent) ? 0 : 0.999, Math.abs(sent) * 1e-9)

const digitsOf = (text: string) => text.replace(/[^0-9]/g, '').replace(/^0+/, '')

const contain = (a: string, b: string) => a.includes(b) || b.includes(a)

function isSameNumber(sent: number, stored: unknown): boolean {
  if (typeof stored === 'number') return isNear(sent, stored)
  if (typeof stored !== 'string') return true
  const plain = Number(stored)
  // With signs of a currency, or of thousands, only the digits are sure.
  return Number.isNaN(plain) ? contain(digitsOf(String(sent)), digitsOf(stored)) : isNear(sent, plain)
}

const DAY_MS = 86_400_000
const STARTS_WITH_DAY = /^\d{4}-\d\d-\d\d/
const DAY = /^\d{4}-\d\d-\d\d$/
const sorted = (digits: string) => [...digits].sort().join('')

/** A time says in which time zone a day began; without one, its parts may stand in another order. */
function isSameDay(sent: string, stored: string | number): boolean {
  if (typeof stored === 'string' && DAY.test(stored)) return sent.startsWith(stored)
  if (typeof stored === 'string' && sorted(digitsOf(stored)) === sorted(digitsOf(sent))) return true
  const apart = Math.abs(new Date(sent).getTime() - new Date(stored).getTime())
  // What cannot be read as a day is no other one.
  return !(apart > 1.5 * DAY_MS)
}

/** Letters and digits alone, in one case and without accents: what survives a rewriting of any text. */
export const bareText = (text: string): string =>
  text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '')

/** Markup and escapes may have been taken out of the middle of a text, or put into it. */
const MARKUP = /[<>&%\\]/
const unmarked = (text: string) => bareText(text.replace(/<[^<>]*>|&#?\w+;|%[0-9a-f]{2}/gi, ''))

function isWithin(part: string, whole: string): boolean {
  let at = 0
  for (const char of part) {
    at = whole.indexOf(char, at) + 1
    if (at === 0) return false
  }
  return true
}

const PHONE = /^[+(]?\d[\d\s()./-]{5,}$/

/** The code of the country may be missing, or stand for a leading zero. */
function isSamePhone(sent: string, stored: string): boolean {
  const [a, b] = [digitsOf(sent), digitsOf(stored)]
  return a.endsWith(b) || b.endsWith(a)
}

function isSameText(sent: string, stored: unknown, field: Field | undefined): boolean {
  if (typeof stored === 'number') {
    return STARTS_WITH_DAY.test(sent) ? isSameDay(sent, stored) : isSameNumber(stored, sent)
  }
  if (typeof stored !== 'string') return true
  const keyOf = field?.options.keyOf
  const [sentKey, storedKey] = [keyOf?.get(sent), keyOf?.get(stored)]
  if (sentKey !== undefined && storedKey !== undefined) return sentKey === storedKey
  const [a, b] = [bareText(sent), bareText(stored)]
  if (contain(a, b)) return true
  if (MARKUP.test(sent) || MARKUP.test(stored)) {
    return isWithin(a, b) || isWithin(b, a) || contain(unmarked(sent), unmarked(stored))
  }
  if (STARTS_WITH_DAY.test(sent)) return isSameDay(sent, stored)
  return PHONE.test(sent) && isSamePhone(sent, stored)
}
