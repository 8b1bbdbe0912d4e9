import type { Answer } from './call.ts'

const DAY_SECONDS = 86_400

/** More digits would not fit into a number exactly. */
const MAX_DIGITS = 15

/**
 * Reads decimal digits and nothing else: `Number` also accepts `0x10`, `1e3`, `+5` and blanks. Six headers of each
 * answer are read, and a regular expression is slower than this loop.
 */
function parseDigits(text: string): number | undefined {
  if (text.length === 0 || text.length > MAX_DIGITS) return undefined
  let value = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  return value
}

/** All forms of RFC 9110, section 5.6.7. Each begins with a day name, and is in GMT whether it says so or not. */
const HTTP_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? .*\d$|^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, .* GMT$/

const textOf = ({ headers }: Answer, name: string): string => {
  const text = headers[name]
  return typeof text === 'string' ? text : ''
}

/**
 * A whole number from `min` to `max`, else `undefined`. The numbers go into timers and into Redis: one wrong number, if
 * believed, could block a location for good.
 */
export function integerHeader(answer: Answer, name: string, min: number, max: number): number | undefined {
  const value = parseDigits(textOf(answer, name))
  return value !== undefined && value >= min && value <= max ? value : undefined
}

/** Epoch milliseconds. */
function dateOf(text: string): number | undefined {
  if (!HTTP_DATE.test(text)) return undefined
  const at = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
  return Number.isNaN(at) ? undefined : at
}

/** `Retry-After` in whole seconds, up to a day; `undefined` where it is absent, unreadable or a date in the past. */
function retryAfterSeconds(answer: Answer, now: number): number | undefined {
  const text = textOf(answer, 'retry-after')
  if (text === '') return undefined
  const number = parseDigits(text)
  if (number !== undefined) return Math.min(DAY_SECONDS, number)
  const at = dateOf(text)
  if (at === undefined) return undefined
  // Clocks differ, so a date counts from the `Date` of the same answer.
  const seconds = Math.ceil((at - (dateOf(textOf(answer, 'date')) ?? now)) / 1_000)
  return seconds > 0 ? Math.min(DAY_SECONDS, seconds) : undefined
}

/**
 * How long HighLevel asks to wait, in milliseconds: `Retry-After`, sent as seconds or as a date, or else `fallbackMs`.
 * HighLevel documents no Retry-After. `now` is in epoch milliseconds.
 */
export const retryAfterMs = (answer: Answer, fallbackMs: number, now = Date.now()): number => {
  const seconds = retryAfterSeconds(answer, now)
  return seconds === undefined ? fallbackMs : seconds * 1_000
}

/** The value of our own Retry-After header: whole seconds, from 1 to a day. */
export const toRetryAfterSeconds = (ms: number): number => Math.min(DAY_SECONDS, Math.max(1, Math.ceil(ms / 1_000)))
