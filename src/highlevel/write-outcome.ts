import { Problem } from '../problems/problem.ts'
import { type Answer, type Call, type WriteState, writes } from './call.ts'
import { readUpstreamError, type UpstreamError } from './errors/error-body.ts'

export const createWriteState = (): WriteState => ({ outcome: 'not-sent' })

/** What a problem says of a write. */
export type Applied = 'no' | 'unknown'

/** HighLevel checks token, scope, location and rate limit before it runs a route; so does the edge in front of it. */
const GUARDS: ReadonlySet<number> = new Set([401, 403, 429])
/** What a route refuses as a whole before it stores anything. */
const REFUSALS: ReadonlySet<number> = new Set([400, 404, 422])

/** Whether HighLevel is known to give this status before it does anything. */
export const isRefusal = (status: number): boolean => GUARDS.has(status) || REFUSALS.has(status)

const givesReason = ({ readable, message, errorCode }: UpstreamError) =>
  readable && (message !== undefined || errorCode !== undefined)

/**
 * Whether the latest attempt of a call may have changed a record. `answer` is absent where none came that belongs to
 * the call.
 *
 * Only a refusal that HighLevel is known to give before it does anything proves that nothing was changed. A route's
 * refusal counts only with a reason in HighLevel's words: an intermediary may answer in its place after the fact. No
 * other answer proves anything, redirects and unknown statuses included.
 */
export function appliedAfter(call: Call, answer?: Answer, upstreamError?: UpstreamError): Applied {
  if (!writes(call)) return 'no'
  if (answer === undefined) return call.isSent ? 'unknown' : 'no'
  if (GUARDS.has(answer.status)) return 'no'
  return REFUSALS.has(answer.status) && givesReason(upstreamError ?? readUpstreamError(answer)) ? 'no' : 'unknown'
}

/** An attempt goes on the wire. */
export function markSent(call: Call): void {
  call.isSent = true
  if (writes(call) && call.write.outcome === 'not-sent') call.write.outcome = 'sent'
}

/** HighLevel answered with what the call asked for: a write was stored. */
export function markSucceeded(call: Call): void {
  if (writes(call)) call.write.outcome = 'applied'
}

/** It is unknown whether HighLevel stored what the write asked for. */
export function markUnknown({ write }: { write: WriteState }): void {
  if (write.outcome !== 'applied') write.outcome = 'unknown'
}

/** An attempt failed and will be retried. The problem of the last attempt does not tell what an earlier one did. */
export function markFailed(call: Call, answer: Answer | undefined, error: unknown): void {
  const applied = answer ? appliedAfter(call, answer) : error instanceof Problem && error.extras.applied
  if (applied === 'unknown') markUnknown(call)
}

/** These problems may interrupt a write at any moment: those who throw them do not know whether it was sent. */
const isInterruption = ({ code }: Problem) => code === 'internal' || code === 'shutting-down'

/**
 * The error to throw: a problem of one attempt, extended by what is known of all attempts of the write. An `unknown` is
 * also kept for the problems of later attempts. Errors that are not problems are returned as they are.
 */
export function withWriteOutcome<E>({ write }: { write: WriteState }, error: E): E {
  if (!(error instanceof Problem)) return error
  if (error.extras.applied === 'unknown') {
    markUnknown({ write })
    return error
  }
  const mayBeApplied =
    write.outcome === 'applied' || write.outcome === 'unknown' || (write.outcome === 'sent' && isInterruption(error))
  return mayBeApplied ? (error.with({ applied: 'unknown' }) as E & Problem) : error
}
