import { countOf, retryAfterMs } from '../answer-headers.ts'
import type { Answer } from '../call.ts'
import { learnDay } from './day.ts'
import type { LearnedLimits, Permit } from './limits.ts'

const MOST_CALLS = 1_000_000_000
const FIRST_PAUSE_SHARE = 0.1
/** However long HighLevel says to wait, it is asked again after this. */
const LONGEST_PAUSE_MS = 10 * 60_000

/** Others are not left everything: what looks like theirs may be what an earlier process of this gateway used. */
const LEAST_SHARE = 0.1

/** What others use sways: they are left a little more than they were seen to use. */
const SWAY = 0.06

/** How many places of a window are this gateway's: all but what others are known to use. */
export const burstLimit = ({ burstMax, others, othersBefore }: LearnedLimits): number =>
  Math.max(Math.ceil(burstMax * LEAST_SHARE), burstMax - Math.ceil(Math.max(others, othersBefore) * (1 + SWAY)))

function recordOthersUsage(allowance: LearnedLimits, used: number, at: number): void {
  // Spans of a window, of which the last two count: who sent in the last window is expected to send in this one.
  if (at - allowance.othersSince > allowance.windowMs) {
    const isLongAgo = at - allowance.othersSince > allowance.windowMs * 2
    Object.assign(allowance, { othersBefore: isLongAgo ? 0 : allowance.others, others: 0, othersSince: at })
  }
  if (used > allowance.others) allowance.others = used
}

/** Others' use may have been another process's of this gateway, which is counted otherwise from now on. Whether there was any. */
export function forgetOthers(allowance: LearnedLimits): boolean {
  const isAny = allowance.others > 0 || allowance.othersBefore > 0
  Object.assign(allowance, { others: 0, othersBefore: 0, evidence: Number.NEGATIVE_INFINITY })
  return isAny
}

/**
 * Holds what answers said against all places given so far. Each of those that were given since the answered one may
 * have been counted before it; so what is found is never more than others really used. Those that HighLevel refused are
 * taken off: what it was full of then was others'.
 */
export function updateOthersUsage(allowance: LearnedLimits, at: number): void {
  if (allowance.evidence === Number.NEGATIVE_INFINITY) return
  recordOthersUsage(allowance, allowance.evidence - allowance.taken, at)
  allowance.evidence = Number.NEGATIVE_INFINITY
}

/**
 * An answer that passed says what is used of the window, its own call included: more than the rest is not others', however
 * much they used before. What is found without it stands for what they will use again.
 */
function releaseOthers(allowance: LearnedLimits, most: number): void {
  allowance.others = Math.min(allowance.others, most)
  allowance.othersBefore = Math.min(allowance.othersBefore, most)
  allowance.evidence = Math.min(allowance.evidence, most + allowance.taken)
}

/**
 * Learns from an answer to the call that had this place, and tells whether there are more places than before.
 * `at` is on the monotonic clock, `now` in epoch milliseconds.
 */
export function learn(allowance: LearnedLimits, place: Permit, answer: Answer, at: number, now: number): boolean {
  const before = burstLimit(allowance)
  const max = countOf(answer, 'x-ratelimit-max', 1, MOST_CALLS)
  const left = countOf(answer, 'x-ratelimit-remaining', 0, MOST_CALLS)
  const windowMs = countOf(answer, 'x-ratelimit-interval-milliseconds', 1, LONGEST_PAUSE_MS)
  const isRefused = answer.status === 429
  if (max !== undefined) allowance.burstMax = max
  if (windowMs !== undefined) allowance.windowMs = windowMs
  learnDay(allowance, place, answer, at, now)
  if (place.day === allowance.day && max !== undefined && left !== undefined) {
    allowance.evidence = Math.max(allowance.evidence, max - left - place.used + place.taken)
  }
  if (isRefused) pause(allowance, answer, at, now)
  else {
    if (max !== undefined && left !== undefined) releaseOthers(allowance, Math.max(0, max - left - 1))
    allowance.proof = 'none'
    if (at >= allowance.pausedUntil) allowance.pauseMs = 0
  }
  return burstLimit(allowance) > before
}

/** HighLevel documents no Retry-After: where none is sent, waits double up to a whole window. */
function pause(allowance: LearnedLimits, answer: Answer, at: number, now: number): void {
  allowance.proof = 'due'
  const askedMs = retryAfterMs(answer, 0, now)
  if (askedMs > 0) {
    const pauseMs = Math.min(askedMs, LONGEST_PAUSE_MS)
    allowance.pausedUntil = Math.max(allowance.pausedUntil, at + pauseMs)
  } else if (at >= allowance.pausedUntil) {
    // Calls that were sent together are refused together: that is one refusal.
    const { pauseMs, windowMs } = allowance
    allowance.pauseMs = Math.min(windowMs, Math.max(windowMs * FIRST_PAUSE_SHARE, pauseMs * 2))
    allowance.pausedUntil = at + allowance.pauseMs
  }
}
