import { integerHeader, retryAfterMs } from '../answer-headers.ts'
import type { Answer } from '../call.ts'
import { learnDay } from './day-quota.ts'
import type { LearnedLimits, Permit } from './limits.ts'

const MAX_CALLS = 1_000_000_000
/** The first pause for which HighLevel names no time, as a share of the window. */
const FIRST_PAUSE_SHARE = 0.1
/** However long HighLevel asks to wait, one call tries again after this. */
const MAX_PAUSE_MS = 10 * 60_000

/**
 * The gateway keeps at least this share of the window. What looks like the use of other clients may have been that of
 * an earlier process of this gateway.
 */
const MIN_SHARE = 0.1

/** Other clients' usage fluctuates: this much more than observed is reserved for them. */
const OTHERS_MARGIN = 0.06

/** How many permits of a window this gateway has: all but what other clients are known to use. */
export const burstLimit = ({ burstMax, othersUsage, othersUsageBefore }: LearnedLimits): number =>
  Math.max(
    Math.ceil(burstMax * MIN_SHARE),
    burstMax - Math.ceil(Math.max(othersUsage, othersUsageBefore) * (1 + OTHERS_MARGIN))
  )

function recordOthersUsage(limits: LearnedLimits, usage: number, at: number): void {
  // The last two spans of a window count: a client that sent in the last window is expected to send in this one.
  if (at - limits.othersUsageSince > limits.windowMs) {
    const isLongAgo = at - limits.othersUsageSince > limits.windowMs * 2
    limits.othersUsageBefore = isLongAgo ? 0 : limits.othersUsage
    limits.othersUsage = 0
    limits.othersUsageSince = at
  }
  if (usage > limits.othersUsage) limits.othersUsage = usage
}

/**
 * Drops what is known of other clients' usage. It may have been that of another process of this gateway, which is
 * counted in another way from now on. Returns whether there was any.
 */
export function resetOthersUsage(limits: LearnedLimits): boolean {
  const isAny = limits.othersUsage > 0 || limits.othersUsageBefore > 0
  limits.othersUsage = 0
  limits.othersUsageBefore = 0
  limits.othersPlusDayUsed = Number.NEGATIVE_INFINITY
  return isAny
}

/**
 * Compares what answers said with all permits granted so far. Each permit that was granted after that of the answered
 * call may have been counted before it, so the result never exceeds what other clients really used. Calls that
 * HighLevel refused are not in `dayUsed`: the window was full with others' calls then.
 */
export function updateOthersUsage(limits: LearnedLimits, at: number): void {
  if (limits.othersPlusDayUsed === Number.NEGATIVE_INFINITY) return
  recordOthersUsage(limits, limits.othersPlusDayUsed - limits.dayUsed, at)
  limits.othersPlusDayUsed = Number.NEGATIVE_INFINITY
}

/**
 * A success says how much of the window is used, its own call included. Other clients use at most the rest, `max`,
 * however much they used before. Within that bound, earlier usage still stands for what they will use again.
 */
function capOthersUsage(limits: LearnedLimits, max: number): void {
  limits.othersUsage = Math.min(limits.othersUsage, max)
  limits.othersUsageBefore = Math.min(limits.othersUsageBefore, max)
  limits.othersPlusDayUsed = Math.min(limits.othersPlusDayUsed, max + limits.dayUsed)
}

/**
 * Learns from the answer to the call with this permit. Returns whether the window has more permits than before. `at` is
 * on the monotonic clock, `now` in epoch milliseconds.
 */
export function learn(limits: LearnedLimits, permit: Permit, answer: Answer, at: number, now: number): boolean {
  const before = burstLimit(limits)
  const max = integerHeader(answer, 'x-ratelimit-max', 1, MAX_CALLS)
  const left = integerHeader(answer, 'x-ratelimit-remaining', 0, MAX_CALLS)
  const windowMs = integerHeader(answer, 'x-ratelimit-interval-milliseconds', 1, MAX_PAUSE_MS)
  const isRefused = answer.status === 429
  if (max !== undefined) limits.burstMax = max
  if (windowMs !== undefined) limits.windowMs = windowMs
  learnDay(limits, permit, answer, at, now)
  if (permit.day === limits.day && max !== undefined && left !== undefined) {
    limits.othersPlusDayUsed = Math.max(limits.othersPlusDayUsed, max - left - permit.windowUsed + permit.dayUsed)
  }
  if (isRefused) pause(limits, answer, at, now)
  else {
    if (max !== undefined && left !== undefined) capOthersUsage(limits, Math.max(0, max - left - 1))
    limits.trial = 'none'
    if (at >= limits.pausedUntil) limits.pauseMs = 0
  }
  return burstLimit(limits) > before
}

/** After a 429. HighLevel documents no Retry-After: without one, pauses double up to a whole window. */
function pause(limits: LearnedLimits, answer: Answer, at: number, now: number): void {
  limits.trial = 'due'
  const askedMs = retryAfterMs(answer, 0, now)
  if (askedMs > 0) {
    limits.pausedUntil = Math.max(limits.pausedUntil, at + Math.min(askedMs, MAX_PAUSE_MS))
  } else if (at >= limits.pausedUntil) {
    // Calls that were sent together are refused together: that counts as one refusal.
    const { pauseMs, windowMs } = limits
    limits.pauseMs = Math.min(windowMs, Math.max(windowMs * FIRST_PAUSE_SHARE, pauseMs * 2))
    limits.pausedUntil = at + limits.pauseMs
  }
}
