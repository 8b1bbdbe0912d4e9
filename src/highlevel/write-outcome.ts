import { type Answer, type Call, writes } from './call.ts'
import { readUpstreamError, type UpstreamError } from './errors/error-body.ts'

/** What is known of a write that was not answered with a success. */
export type Applied = 'no' | 'unknown'

/** HighLevel's guards look at token, scope, location and limit before a route is run; so does the edge before them. */
const GUARDS: ReadonlySet<number> = new Set([401, 403, 429])
/** What a route refuses as a whole before it stores anything. */
const REFUSALS: ReadonlySet<number> = new Set([400, 404, 422])

/** Whether HighLevel is known to answer so before it does anything. */
export const isRefusal = (status: number): boolean => GUARDS.has(status) || REFUSALS.has(status)

const saysWhy = ({ readable, message, errorCode }: UpstreamError) =>
  readable && (message !== undefined || errorCode !== undefined)

/**
 * Whether a call that went on the wire may have changed a record. Only the refusals that HighLevel is known to give
 * before it does anything prove that it has not; those of a route count only in its own words, since whatever answers
 * in its place may do so after the fact. Any other answer proves nothing, redirects and statuses that nobody has seen
 * included, and neither does a missing one.
 */
export function appliedAfter(call: Call, answer?: Answer, words?: UpstreamError): Applied {
  if (!writes(call)) return 'no'
  if (answer === undefined) return 'unknown'
  if (GUARDS.has(answer.status)) return 'no'
  return REFUSALS.has(answer.status) && saysWhy(words ?? readUpstreamError(answer)) ? 'no' : 'unknown'
}
