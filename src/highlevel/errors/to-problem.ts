import type { ProblemCode } from '../../problems/catalog.ts'
import { type FieldError, Problem } from '../../problems/problem.ts'
import { escapePointerToken } from '../../shared/json.ts'
import { countOf, retryAfterMs, toRetryAfterSeconds } from '../answer-headers.ts'
import { type Answer, type Call, type LocationCall, writes } from '../call.ts'
import { DAY_MS, untilDayEndMs } from '../quota/day.ts'
import { appliedAfter } from '../write-outcome.ts'
import { readUpstreamError, type UpstreamError } from './error-body.ts'
import { type About, ruleFor } from './error-rules.ts'
import { withoutValues } from './redact.ts'

export const isTokenFault = (answer: Answer): boolean =>
  answer.status === 401 && ruleFor('write', 401, readUpstreamError(answer))?.tokenFault === true

const DEFAULT_INTERVAL_MS = 10_000

/** A 429. Without a Retry-After the caller is told to wait until the day ends, or for one interval of the window. */
function exhausted(answer: Answer): { code: ProblemCode; detail: string; retryAfterSeconds: number } {
  if (countOf(answer, 'x-ratelimit-daily-remaining', 0, 0) === 0) {
    const resetMs = countOf(answer, 'x-ratelimit-daily-reset', 0, DAY_MS) ?? untilDayEndMs(Date.now())
    return {
      code: 'location-daily-exhausted',
      detail: 'HighLevel takes no more calls of this location today',
      retryAfterSeconds: toRetryAfterSeconds(retryAfterMs(answer, resetMs))
    }
  }
  const intervalMs = countOf(answer, 'x-ratelimit-interval-milliseconds', 1, DAY_MS) ?? DEFAULT_INTERVAL_MS
  return {
    code: 'location-burst-exhausted',
    detail: 'HighLevel takes no more calls of this location at the moment',
    retryAfterSeconds: toRetryAfterSeconds(retryAfterMs(answer, intervalMs))
  }
}

const faultsOf = (words: UpstreamError): readonly FieldError[] | undefined =>
  words.field === undefined
    ? undefined
    : [
        {
          pointer: `/properties/${escapePointerToken(words.field)}`,
          code: 'duplicate',
          detail: 'Another record holds this value'
        }
      ]

type AnyCall = Call & Partial<Pick<LocationCall, 'isBackground'>>

function aboutOf(call: AnyCall): About {
  if (writes(call)) return 'write'
  return call.isBackground ? 'object' : 'record'
}

/**
 * The problem that an answer outside 2xx stands for. `sent` is what the caller sent: HighLevel repeats values in its
 * messages, and they are taken out. Source of the messages: HighLevel's documents and what its users measured.
 */
export function problemOf(call: AnyCall, answer: Answer, sent: unknown): Problem {
  const words = readUpstreamError(answer)
  const message = words.message === undefined ? undefined : withoutValues(words.message, sent)
  const upstream = {
    status: answer.status,
    ...(message !== undefined && { message }),
    ...(words.traceId !== undefined && { traceId: words.traceId })
  }
  if (answer.status === 429) {
    const { code, detail, retryAfterSeconds } = exhausted(answer)
    return new Problem(code, detail, { upstream, retryAfterSeconds })
  }
  const applied = appliedAfter(call, answer, words)
  if (!words.readable && answer.status < 500) {
    return new Problem('upstream-unreadable', 'HighLevel’s answer is not JSON: something before it may have answered', {
      upstream,
      applied
    })
  }
  // What a guard says names no value; what a validation says may repeat one, and a value must not decide.
  const isGuard = [401, 403, 404].includes(answer.status)
  const rule = ruleFor(aboutOf(call), answer.status, isGuard || message === undefined ? words : { ...words, message })
  if (rule === undefined) {
    return new Problem('upstream-unreadable', `HighLevel answered with status ${answer.status}`, { upstream, applied })
  }

  const errors = rule.code === 'duplicate-value' ? faultsOf(words) : undefined
  return new Problem(rule.code, rule.detail, { upstream, applied, ...(errors && { errors }) })
}
