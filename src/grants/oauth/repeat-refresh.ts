import { GRACE_MS } from '../renewal/schedule.ts'
import { speaksOfGrant, TokenRefusal } from './token-refusal.ts'
import { UnknownOutcome } from './unknown-outcome.ts'

/** After this long without an answer HighLevel is asked once more: early enough for more than one to fit into its grace. */
const SILENCE_MS = 14_000
/** What these do not bring is asked for again by the sweep, every few seconds while the grace lasts. */
const ASKS = 3

const isLost = (failure: unknown) => failure instanceof UnknownOutcome && !failure.isAnswered

/**
 * What several failures of one refresh come to: HighLevel's word on the grant, which is looked into before it is
 * believed; else, where any of them may have been carried out, that the outcome is unknown.
 */
function together(failures: readonly unknown[]): unknown {
  const onGrant = failures.find(speaksOfGrant)
  if (onGrant !== undefined) return onGrant
  const refusal = failures.find((failure) => failure instanceof TokenRefusal)
  const unknown = failures.filter((failure) => failure instanceof UnknownOutcome)
  const last = unknown.at(-1)
  if (last === undefined) return refusal ?? failures[0]
  return new UnknownOutcome(refusal ?? last.cause, Math.max(...unknown.map(({ askedAt }) => askedAt)))
}

/**
 * Asks HighLevel with a refresh token, and up to twice more with the same one where the answer was lost or does not come:
 * within 30 s HighLevel gives the same pair. The earlier answers are listened for all the same: whichever brings the pair
 * first counts, and one that says that the token is spent only where no other brings one.
 */
export function repeatRefresh<Answer>(ask: () => Promise<Answer>, silenceMs = SILENCE_MS): Promise<Answer> {
  const startedAt = performance.now()

  const askUpTo = async (times: number): Promise<Answer> => {
    const answer = ask()
    if (times === 1) return answer
    const { promise: silence, resolve } = Promise.withResolvers<'silence'>()
    // A process that stood still reads what has arrived before it speaks of silence.
    const timer = setTimeout(() => setImmediate(resolve, 'silence'), silenceMs)
    const isSilent = (await Promise.race([answer.catch(() => undefined), silence])) === 'silence'
    clearTimeout(timer)

    // It stood still for so long that the same token is of no use any more: what was asked for may still arrive.
    if (performance.now() - startedAt >= GRACE_MS) return answer
    if (isSilent) {
      return Promise.any([answer, askUpTo(times - 1)]).catch((error: unknown) => {
        throw error instanceof AggregateError ? together(error.errors) : error
      })
    }
    return answer.catch((failure: unknown) => {
      if (!isLost(failure)) throw failure
      return askUpTo(times - 1).catch((later: unknown) => {
        throw together([failure, later])
      })
    })
  }
  return askUpTo(ASKS)
}
