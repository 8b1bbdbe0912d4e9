import { Problem } from '../problems/problem.ts'
import { retryAfterMs } from './answer-headers.ts'
import { type Answer, isGone, type Layer, type LocationCall } from './call.ts'
import { callerGone, pause } from './deadline.ts'
import { markFailed } from './write-outcome.ts'

const MAX_ATTEMPTS = 4
const FIRST_DELAY_MS = 100
const MAX_DELAY_MS = 2_000
/** Repeats are at most this share of calls over time, with a few to spare: failures must not multiply the traffic. */
const BUDGET_SHARE = 0.1
const BUDGET_MAX = 20

/** What is repeated, for the metrics. */
export type RetryReason = 'refused' | 'failed' | 'broken'

interface Deps {
  count: (reason: RetryReason) => void
  /** No further attempt is made once it is aborted. */
  closing: AbortSignal
  /** From 0 to 1. */
  random?: () => number
}

/** Why an answer is worth another attempt. */
const answerReason = ({ status }: Answer): RetryReason | undefined => {
  if (status === 429) return 'refused'
  return status === 502 || status === 503 || status === 504 ? 'failed' : undefined
}

/** The same of what came in place of an answer. A call that ran into its time-out has had its time. */
const problemReason = (problem: unknown): RetryReason | undefined =>
  problem instanceof Problem && problem.code === 'upstream-failed' ? 'broken' : undefined

const isQuotaProblem = (problem: unknown): boolean =>
  problem instanceof Problem &&
  (problem.code === 'location-burst-exhausted' || problem.code === 'location-daily-exhausted')

/**
 * Repeats what may go better the next time: broken connections, 429, 502, 503 and 504. A PUT of the same bytes may be
 * repeated; that no newer write of the record comes in between is seen to by whoever sends it. A 429 waits in the
 * location's line, which knows when there is quota, and does not draw on the budget: HighLevel did nothing for it.
 */
export function createRetry({ count, closing, random = Math.random }: Deps): Layer<LocationCall> {
  let budget = BUDGET_MAX

  /** How long to wait before the next attempt; `undefined` where there is none. */
  const delayMs = (reason: RetryReason, answer: Answer | undefined, attempt: number): number | undefined => {
    if (reason === 'refused') return 0
    if (attempt >= MAX_ATTEMPTS || budget < 1) return undefined
    // Full jitter: those that failed together do not come back together.
    const backoff = random() * Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1))
    return answer === undefined ? backoff : Math.max(backoff, retryAfterMs(answer, 0))
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
        // The line has no place in time: HighLevel's own words say more.
        if (refused !== undefined && isQuotaProblem(error)) return refused
        problem = error
      }
      const reason = answer ? answerReason(answer) : problemReason(problem)
      const wait = reason && delayMs(reason, answer, attempt)
      if (reason === undefined || wait === undefined || performance.now() + wait >= call.deadlineAt) {
        if (answer) return answer
        throw problem
      }
      if (reason !== 'refused') budget -= 1
      markFailed(call, answer, problem)
      if (wait > 0) await pause(wait, call, closing)
      else if (isGone(call.caller)) throw callerGone()
      count(reason)
      refused = reason === 'refused' ? answer : undefined
      current = refused === undefined ? call : { ...call, isRepeat: true }
    }
  }
}
