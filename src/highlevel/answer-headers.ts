import type { Answer } from './call.ts'

const DAY_SECONDS = 86_400

/** More would not fit into a number. */
const MAX_DIGITS = 15

/**
 * Reads decimal digits, and nothing else: `Number` also reads `0x10`, `1e3`, `+5` and blanks. Six headers are read for each
 * answer, and a regular expression would cost more than this loop.
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

/** Any form of RFC 9110, 5.6.7: each begins with the name of a day, and is in GMT whether it says so or not. */
const HTTP_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? .*\d$|^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, .* GMT$/

const textOf = ({ headers }: Answer, name: string): string => {
  const text = headers[name]
  return typeof text === 'string' ? text : ''
}

/**
 * A whole number within bounds, or nothing: it goes into timers and into Redis, and an odd one that is believed could
 * keep a location from ever hearing another.
 */
export function countOf(answer: Answer, name: string, least: number, most: number): number | undefined {
  const value = parseDigits(textOf(answer, name))
  return value !== undefined && value >= least && value <= most ? value : undefined
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
