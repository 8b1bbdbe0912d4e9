import { integerHeader } from '../answer-headers.ts'
import type { Answer } from '../call.ts'
import type { LearnedLimits, Permit } from './limits.ts'

export const DAY_MS = 86_400_000
const MAX_CALLS = 1_000_000_000

/** HighLevel may not say when its day begins: when a day is used up, one call is sent this often to find out. */
const DAY_PROBE_INTERVAL_MS = 15 * 60_000
/** Latency varies between answers: two ends of a day that are closer than this are the same. */
const SAME_END_MS = 5_000

/** The remainder of `ms` within a day. Never negative, whatever the sign of `ms`. */
const timeOfDay = (ms: number): number => ((ms % DAY_MS) + DAY_MS) % DAY_MS

/**
 * How long the current day lasts. `dayEndsAt` is the end of any day, past or future. Epoch milliseconds; 0 is midnight
 * UTC.
 */
export const untilDayEndMs = (now: number, dayEndsAt = 0): number => DAY_MS - timeOfDay(now - dayEndsAt)

/** A number for the current day. It counts from the nearest midnight UTC, so all processes number a day alike. */
const dayNumber = (now: number, dayEndsAt: number): number =>
  Math.round((now + untilDayEndMs(now, dayEndsAt)) / DAY_MS) - 1

/** Resets the day's count when a new day has begun. `now` is in epoch milliseconds. */
export function rollOverDay(limits: LearnedLimits, now: number): void {
  const day = dayNumber(now, limits.dayEndsAt)
  if (limits.day !== day) beginDay(limits, day)
}

function beginDay(limits: LearnedLimits, day: number): void {
  limits.day = day
  limits.dayUsed = 0
  limits.dayCeiling = undefined
  limits.warnedShare = 1
  limits.othersPlusDayUsed = Number.NEGATIVE_INFINITY
}

/** How many calls are left today, as far as is known. */
export const dayLeft = ({ dayCeiling, dayMax, dayUsed }: LearnedLimits): number => (dayCeiling ?? dayMax) - dayUsed

/**
 * Whether the day has room for a call. When HighLevel has said that it has none, one call is allowed now and then
 * nevertheless. `at` is on the monotonic clock.
 */
export function dayHasRoom(limits: LearnedLimits, at: number): boolean {
  if (dayLeft(limits) > 0) return true
  if (limits.dayCeiling === undefined || at - limits.dayCeilingAt < DAY_PROBE_INTERVAL_MS) return false
  limits.dayCeilingAt = at
  limits.dayCeiling = limits.dayUsed + 1
  return true
}

/** Learns from the answer to the call with this permit. `at` is on the monotonic clock, `now` in epoch milliseconds. */
export function learnDay(limits: LearnedLimits, permit: Permit, answer: Answer, at: number, now: number): void {
  const left = integerHeader(answer, 'x-ratelimit-daily-remaining', 0, MAX_CALLS)
  // Alone, a wrong size of the day could block the location until the day ends: no answer would come to correct it.
  if (left === undefined) return
  const max = integerHeader(answer, 'x-ratelimit-limit-daily', 1, MAX_CALLS)
  if (max !== undefined) limits.dayMax = max
  if (permit.day !== limits.day) return
  // The ceiling is 0 then: calls that are refused together release their permits, which must not make room again.
  const isUsedUp = answer.status === 429 && left === 0
  const isOtherDay = learnDayEnd(limits, answer, now)
  // Of a day with another end it is not known how much is used.
  if (isOtherDay && !isUsedUp) return
  limits.dayCeiling = isUsedUp ? 0 : left + permit.dayUsed
  limits.dayCeilingAt = at
}

/** Learns when HighLevel's day ends. Returns whether the current day is therefore another one than assumed. */
function learnDayEnd(limits: LearnedLimits, answer: Answer, now: number): boolean {
  const resetMs = integerHeader(answer, 'x-ratelimit-daily-reset', 0, DAY_MS)
  if (resetMs === undefined) return false
  const endsInMs = Math.max(1, resetMs)
  const laterMs = endsInMs - untilDayEndMs(now, limits.dayEndsAt)
  // A day later is the same end, since HighLevel's next day has just begun. A day sooner is another end: the day that
  // seemed to be over goes on, and the answer speaks of that day.
  if (Math.abs(laterMs) < SAME_END_MS || laterMs > DAY_MS - SAME_END_MS) return false
  limits.dayEndsAt = now + endsInMs
  const day = dayNumber(now, limits.dayEndsAt)
  if (day === limits.day) return false
  beginDay(limits, day)
  return true
}
