import type { Clock } from '../../shared/clock.ts'
import { GRACE_MS } from '../renewal/schedule.ts'
import { mayEndGrant, TokenRefusal } from './token-refusal.ts'
import { UnknownOutcome } from './unknown-outcome.ts'

/** After this long without an answer the refresh is sent again: early enough for several answers within the grace. */
export const SILENCE_MS = 14_000
/** If these bring no tokens, the renewal worker repeats the refresh every few seconds while the grace lasts. */
const MAX_ATTEMPTS = 3

const isLost = (failure: unknown) => failure instanceof UnknownOutcome && !failure.isAnswered

/**
 * Combines the failures of one refresh. A refusal that may end the grant comes first: recovery checks it before it is
 * believed. Otherwise, if HighLevel may have carried out any attempt, the outcome is unknown.
 */
function combineFailures(failures: readonly unknown[]): unknown {
  const endsGrant = failures.find(mayEndGrant)
  if (endsGrant !== undefined) return endsGrant
  const refusal = failures.find((failure) => failure instanceof TokenRefusal)
  const unknown = failures.filter((failure) => failure instanceof UnknownOutcome)
  const last = unknown.at(-1)
  if (last === undefined) return refusal ?? failures[0]
  return new UnknownOutcome(refusal ?? last.cause, Math.max(...unknown.map(({ requestedAt }) => requestedAt)))
}

/**
 * Sends a refresh, and repeats it up to twice with the same refresh token if the answer is lost or does not come. Within
 * the grace HighLevel answers with the same tokens. Earlier attempts stay open, and the first tokens to arrive are used.
 * A refusal counts only if no attempt brings tokens.
 */
export function repeatRefresh<Answer>(refresh: () => Promise<Answer>, clock: Clock): Promise<Answer> {
  const startedAt = clock.monotonic()

  const attempt = async (attemptsLeft: number): Promise<Answer> => {
    const answer = refresh()
    if (attemptsLeft === 1) return answer
    const { promise: silence, resolve } = Promise.withResolvers<'silence'>()
    // After the process was suspended, the timer fires before an answer that has already arrived is read.
    const timer = clock.after(SILENCE_MS, () => setImmediate(resolve, 'silence'))
    const isSilent = (await Promise.race([answer.catch(() => undefined), silence])) === 'silence'
    clock.cancel(timer)

    // The process was suspended beyond the grace: repeating is of no use, but the answer may still arrive.
    if (clock.monotonic() - startedAt >= GRACE_MS) return answer
    if (isSilent) {
      return Promise.any([answer, attempt(attemptsLeft - 1)]).catch((error: unknown) => {
        throw error instanceof AggregateError ? combineFailures(error.errors) : error
      })
    }
    return answer.catch((failure: unknown) => {
      if (!isLost(failure)) throw failure
      return attempt(attemptsLeft - 1).catch((later: unknown) => {
        throw combineFailures([failure, later])
      })
    })
  }
  return attempt(MAX_ATTEMPTS)
}
