import { countOf } from '../answer-headers.ts'
import type { Answer } from '../call.ts'
import type { LearnedLimits, Permit } from './limits.ts'

export const DAY_MS = 86_400_000
const MOST_CALLS = 1_000_000_000

/** As HighLevel may not say when its day begins, one call is let through this often to see whether it has begun. */
const PROBE_EVERY_MS = 15 * 60_000
/** Answers take their time, each another: an end that differs by less is the one that is known. */
const SAME_END_MS = 5_000

/** How far `ms` is into a day; of what is negative too. */
const intoDay = (ms: number): number => ((ms % DAY_MS) + DAY_MS) % DAY_MS

/** Until the day ends that ends, or ended once, at `dayEndsAt`. Epoch milliseconds; 0 is midnight UTC. */
export const untilDayEndMs = (now: number, dayEndsAt = 0): number => DAY_MS - intoDay(now - dayEndsAt)

/** A number for each of these days. Counted from the nearest midnight UTC, so that all processes name a day alike. */
const dayOf = (now: number, dayEndsAt: number): number => Math.round((now + untilDayEndMs(now, dayEndsAt)) / DAY_MS) - 1

/** A new day begins with nothing taken. `now` in epoch milliseconds. */
export function rollOverDay(allowance: LearnedLimits, now: number): void {
  const day = dayOf(now, allowance.dayEndsAt)
  if (allowance.day !== day) beginDay(allowance, day)
}

function beginDay(allowance: LearnedLimits, day: number): void {
  Object.assign(allowance, { day, taken: 0, dayMark: undefined, lowMark: 1, evidence: Number.NEGATIVE_INFINITY })
}

/** What is left of the day, as far as is known. */
export const dayLeft = ({ dayMark, dayMax, taken }: LearnedLimits): number => (dayMark ?? dayMax) - taken

/** Whether the day has room. Where HighLevel said that it has none, now and then yes all the same. */
export function dayHasRoom(allowance: LearnedLimits, at: number): boolean {
  if (dayLeft(allowance) > 0) return true
  if (allowance.dayMark === undefined || at - allowance.markedAt < PROBE_EVERY_MS) return false
  allowance.markedAt = at
  allowance.dayMark = allowance.taken + 1
  return true
}

/** Learns from an answer to the call that had this place. `at` is on the monotonic clock, `now` in epoch milliseconds. */
export function learnDay(allowance: LearnedLimits, place: Permit, answer: Answer, at: number, now: number): void {
  const left = countOf(answer, 'x-ratelimit-daily-remaining', 0, MOST_CALLS)
  // A size of the day without what is left of it could shut the location until its end: no answer would say otherwise.
  if (left === undefined) return
  const max = countOf(answer, 'x-ratelimit-limit-daily', 1, MOST_CALLS)
  if (max !== undefined) allowance.dayMax = max
  if (place.day !== allowance.day) return
  // A refusal says that there is nothing, however many are refused together and given back.
  const isOver = answer.status === 429 && left === 0
  const isMoved = learnEnd(allowance, answer, now)
  // What was taken of a day that ends at another time is not known.
  if (isMoved && !isOver) return
  allowance.dayMark = isOver ? 0 : left + place.taken
  allowance.markedAt = at
}

/** Takes HighLevel's word on when its day ends. Whether that makes the present day another one than was thought. */
function learnEnd(allowance: LearnedLimits, answer: Answer, now: number): boolean {
  const resetMs = countOf(answer, 'x-ratelimit-daily-reset', 0, DAY_MS)
  if (resetMs === undefined) return false
  const endsInMs = Math.max(1, resetMs)
  const laterMs = endsInMs - untilDayEndMs(now, allowance.dayEndsAt)
  // A whole day sooner is another end: the day that was thought to be over goes on, and what is said is said of it.
  if (Math.abs(laterMs) < SAME_END_MS || laterMs > DAY_MS - SAME_END_MS) return false
  allowance.dayEndsAt = now + endsInMs
  const day = dayOf(now, allowance.dayEndsAt)
  if (day === allowance.day) return false
  beginDay(allowance, day)
  return true
}
