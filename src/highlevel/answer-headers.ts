import type { Answer } from './call.ts'

const DAY_SECONDS = 86_400

/** Up to 15 decimal digits, and nothing else: `Number` alone also reads `0x10`, `1e3`, `+5` and a blank. */
const DIGITS = /^\d{1,15}$/

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
  const text = textOf(answer, name)
  if (!DIGITS.test(text)) return undefined
  const value = Number(text)
  return value >= least && value <= most ? value : undefined
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
  if (DIGITS.test(text)) return Math.min(DAY_SECONDS, Number(text))
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
