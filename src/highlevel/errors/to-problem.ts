import type { ProblemCode } from '../../problems/catalog.ts'
import { type FieldError, Problem } from '../../problems/problem.ts'
import { escapePointerToken } from '../../shared/json.ts'
import { integerHeader, retryAfterMs, toRetryAfterSeconds } from '../answer-headers.ts'
import { type Answer, type Call, type LocationCall, writes } from '../call.ts'
import { DAY_MS, untilDayEndMs } from '../quota/day-quota.ts'
import { appliedAfter } from '../write-outcome.ts'
import { readUpstreamError, type UpstreamError } from './error-body.ts'
import { type CallKind, ruleFor } from './error-rules.ts'
import { withoutValues } from './redact.ts'

/** Whether HighLevel refused the token, so that another one may help. */
export const isTokenFault = (answer: Answer): boolean =>
  answer.status === 401 && ruleFor('write', 401, readUpstreamError(answer))?.tokenFault === true

const DEFAULT_INTERVAL_MS = 10_000

/** For a 429. Without a Retry-After from HighLevel the caller waits for the end of the day, or for one window. */
function quotaExhausted(answer: Answer, now: number): { code: ProblemCode; detail: string; retryAfterSeconds: number } {
  if (integerHeader(answer, 'x-ratelimit-daily-remaining', 0, 0) === 0) {
    const resetMs = integerHeader(answer, 'x-ratelimit-daily-reset', 0, DAY_MS) ?? untilDayEndMs(now)
    return {
      code: 'location-daily-exhausted',
      detail: 'The daily quota of this location is used up at HighLevel',
      retryAfterSeconds: toRetryAfterSeconds(retryAfterMs(answer, resetMs, now))
    }
  }
  const intervalMs = integerHeader(answer, 'x-ratelimit-interval-milliseconds', 1, DAY_MS) ?? DEFAULT_INTERVAL_MS
  return {
    code: 'location-burst-exhausted',
    detail: 'The burst quota of this location is used up at HighLevel',
    retryAfterSeconds: toRetryAfterSeconds(retryAfterMs(answer, intervalMs, now))
  }
}

const duplicateErrors = ({ field }: UpstreamError): readonly FieldError[] | undefined =>
  field === undefined
    ? undefined
    : [
        {
          pointer: `/properties/${escapePointerToken(field)}`,
          code: 'duplicate',
          detail: 'Another record has this value'
        }
      ]

type AnyCall = Call & Partial<Pick<LocationCall, 'isBackground'>>

function kindOf(call: AnyCall): CallKind {
  if (writes(call)) return 'write'
  return call.isBackground ? 'read-object' : 'read-record'
}

/**
 * The problem for an answer outside 2xx. `sent` is what the caller sent: HighLevel repeats values in its messages, and
 * they are removed. `now` is in epoch milliseconds. Sources of the messages: HighLevel's documentation and measurements by its users.
 */
export function upstreamProblem(call: AnyCall, answer: Answer, sent: unknown, now = Date.now()): Problem {
  const upstreamError = readUpstreamError(answer)
  const message = upstreamError.message === undefined ? undefined : withoutValues(upstreamError.message, sent)
  const upstream = {
    status: answer.status,
    ...(message !== undefined && { message }),
    ...(upstreamError.traceId !== undefined && { traceId: upstreamError.traceId })
  }
  if (answer.status === 429) {
    const { code, detail, retryAfterSeconds } = quotaExhausted(answer, now)
    return new Problem(code, detail, { upstream, retryAfterSeconds })
  }
  const applied = appliedAfter(call, answer, upstreamError)
  if (!upstreamError.readable && answer.status < 500) {
    return new Problem(
      'upstream-unreadable',
      'HighLevel’s answer is not JSON: a proxy in front of it may have answered',
      {
        upstream,
        applied
      }
    )
  }
  // A validation message may repeat a value, which must not decide about the rule. A guard's message repeats none.
  const isGuard = [401, 403, 404].includes(answer.status)
  const rule = ruleFor(
    kindOf(call),
    answer.status,
    isGuard || message === undefined ? upstreamError : { ...upstreamError, message }
  )
  if (rule === undefined) {
    return new Problem('upstream-unreadable', `HighLevel answered with status ${answer.status}`, { upstream, applied })
  }

  const errors = rule.code === 'duplicate-value' ? duplicateErrors(upstreamError) : undefined
  return new Problem(rule.code, rule.detail, { upstream, applied, ...(errors && { errors }) })
}
