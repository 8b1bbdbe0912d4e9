import { Problem } from '../../problems/problem.ts'
import { TokenRefusal } from './token-refusal.ts'

/**
 * HighLevel may have spent the refresh token, but no new tokens arrived: the answer was lost, was a 5xx, belonged to
 * another grant, or said that such a refresh is in progress. Within the grace, HighLevel answers the same refresh token
 * with the same new tokens.
 */
export class UnknownOutcome extends Error {
  override readonly name = 'UnknownOutcome'
  /** Epoch milliseconds of the request. The grace starts then or later. */
  readonly requestedAt: number
  /** HighLevel, or a server in front of it, did answer, if only with a 5xx: an immediate repeat is of little use. */
  readonly isAnswered: boolean

  constructor(cause: unknown, requestedAt: number) {
    super('HighLevel may have spent the refresh token', { cause })
    this.requestedAt = requestedAt
    this.isAnswered = cause instanceof TokenRefusal || (cause instanceof Problem && cause.extras.upstream !== undefined)
  }
}

/** The refusal or problem behind an UnknownOutcome. Any other failure is returned as it is. */
export const causeOf = (failure: unknown): unknown => (failure instanceof UnknownOutcome ? failure.cause : failure)
