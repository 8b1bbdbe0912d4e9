import { Problem } from '../../problems/problem.ts'
import { TokenRefusal } from './token-refusal.ts'

/**
 * HighLevel may have rotated the pair, and no new one came back: the answer was lost, was a 5xx, was about another grant,
 * or said that such a refresh is under way. Within its grace HighLevel gives the pair to whoever asks with the same token.
 */
export class UnknownOutcome extends Error {
  override readonly name = 'UnknownOutcome'
  /** Epoch milliseconds: when it was asked. The grace runs from then on, or from later. */
  readonly askedAt: number
  /** Something answered, if only with a 5xx: to ask again in the same moment is of little use. */
  readonly isAnswered: boolean

  constructor(cause: unknown, askedAt: number) {
    super('HighLevel may have rotated the pair', { cause })
    this.askedAt = askedAt
    this.isAnswered = cause instanceof TokenRefusal || (cause instanceof Problem && cause.extras.upstream !== undefined)
  }
}

/** HighLevel's word, or the problem, behind a failure of which the outcome is unknown; any other failure as it is. */
export const reasonFor = (failure: unknown): unknown => (failure instanceof UnknownOutcome ? failure.cause : failure)
