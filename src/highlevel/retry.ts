import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import { retryAfterMs } from './answer-headers.ts'
import { type Answer, hasHungUp, type Layer, type LocationCall } from './call.ts'
import { hangUpProblem, pause } from './deadline.ts'
import { markFailed } from './write-outcome.ts'

const MAX_ATTEMPTS = 4
const FIRST_DELAY_MS = 100
const MAX_DELAY_MS = 2_000
/**
 * Retries are at most this share of the calls, plus a reserve of `BUDGET_MAX`: failures must not multiply the traffic.
 */
const BUDGET_SHARE = 0.1
const BUDGET_MAX = 20

/** Why a call is retried, for the metrics: after a 429, another failed answer, or a broken connection. */
export type RetryReason = 'refused' | 'failed' | 'broken'

interface Deps {
  clock: Clock
  count: (reason: RetryReason) => void
  /** No further attempt is made once it is aborted. */
  closing: AbortSignal
  /** From 0 to 1. */
  random?: () => number
}

const answerReason = ({ status }: Answer): RetryReason | undefined => {
  if (status === 429) return 'refused'
  return status === 502 || status === 503 || status === 504 ? 'failed' : undefined
}

/** An attempt that timed out is not retried: it has had its time. */
const problemReason = (problem: unknown): RetryReason | undefined =>
  problem instanceof Problem && problem.code === 'upstream-failed' ? 'broken' : undefined

const isQuotaProblem = (problem: unknown): boolean =>
  problem instanceof Problem &&
  (problem.code === 'location-burst-exhausted' || problem.code === 'location-daily-exhausted')

/**
 * Retries calls after broken connections, 429, 502, 503 and 504. A PUT of the same bytes may be retried. The sender
 * makes sure that no newer write of the record comes in between. After a 429 the call waits in the location's queue,
 * which knows when there is quota. It does not use the budget, since HighLevel did no work for it.
 */
export function createRetry({ clock, count, closing, random = Math.random }: Deps): Layer<LocationCall> {
  let budget = BUDGET_MAX

  /** The wait before the next attempt; `undefined` for no further attempt. */
  const delayMs = (reason: RetryReason, answer: Answer | undefined, attempt: number): number | undefined => {
    if (reason === 'refused') return 0
    if (attempt >= MAX_ATTEMPTS || budget < 1) return undefined
    // Full jitter: calls that failed together are not retried together.
    const backoff = random() * Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1))
    return answer === undefined ? backoff : Math.max(backoff, retryAfterMs(answer, 0, clock.now()))
  }

  return (next) => async (call) => {
    budget = Math.min(BUDGET_MAX, budget + BUDGET_SHARE)
    let current = call
    let refused: Answer | undefined
    for (let attempt = 1; ; attempt += 1) {
      let answer: Answer | undefined
      let problem: unknown
      try {
        answer = await next(current)
        if (answer.status < 429) return answer
      } catch (error) {
        // There is no permit before the deadline: HighLevel's 429 says more than our own refusal.
        if (refused !== undefined && isQuotaProblem(error)) return refused
        problem = error
      }
      const reason = answer ? answerReason(answer) : problemReason(problem)
      const waitMs = reason && delayMs(reason, answer, attempt)
      if (reason === undefined || waitMs === undefined || clock.monotonic() + waitMs >= call.deadlineAt) {
        if (answer) return answer
        throw problem
      }
      if (reason !== 'refused') budget -= 1
      markFailed(call, answer, problem)
      if (waitMs > 0) await pause(clock, waitMs, call, closing)
      else if (hasHungUp(call.caller)) throw hangUpProblem()
      count(reason)
      refused = reason === 'refused' ? answer : undefined
      current = refused === undefined ? call : { ...call, isRepeat: true }
    }
  }
}
