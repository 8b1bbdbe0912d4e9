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

/** HighLevel answered a call as it was asked to. */
export function markSucceeded(call: Call): void {
  if (writes(call)) call.write.outcome = 'applied'
}

/** Nobody knows whether HighLevel stored the write. */
export function markUnknown({ write }: { write: WriteState }): void {
  if (write.outcome !== 'applied') write.outcome = 'unknown'
}

/** Notes a failed attempt that is repeated: the last attempt alone does not tell what became of the write. */
export function markFailed(call: Call, answer: Answer | undefined, error: unknown): void {
  const applied = answer ? appliedAfter(call, answer) : error instanceof Problem && error.extras.applied
  if (applied === 'unknown') markUnknown(call)
}

/** Both may cut off a write at any moment, wherever they are thrown. */
const isInterruption = ({ code }: Problem) => code === 'internal' || code === 'shutting-down'

/**
 * The problem to answer with: it says how the last attempt went, but an earlier one may have been carried out, and so
 * may this one where others follow it. Any other error is returned as it is.
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
