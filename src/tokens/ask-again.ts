import { Problem, type ProblemCode } from '../problems.ts'
import { GRACE_MS } from './schedule.ts'
import { TokenRefusal } from './token-refusal.ts'

/** After this long without an answer HighLevel is asked a second time, early enough for the second answer to come within the grace. */
const SILENCE_MS = 15_000

/** HighLevel may have rotated, and its answer did not arrive. */
const lostAnswers = new Set<ProblemCode>([
  'upstream-failed',
  'upstream-timeout',
  'upstream-unreadable',
  'deadline-exceeded'
])

const isLost = (error: unknown) => error instanceof Problem && lostAnswers.has(error.code)

/** Of two failures the one that says more: a refusal is HighLevel's own word. */
const telling = (errors: readonly unknown[]): unknown =>
  errors.find((error) => error instanceof TokenRefusal) ?? errors[0]

/**
 * Asks HighLevel with a refresh token, and a second time with the same one where the answer was lost or does not come:
 * within 30 s HighLevel gives the same pair. The first answer is listened for all the same: whichever brings the pair
 * first counts, and one that says that the token is spent only where the other brings none.
 */
export async function askAgain<Answer>(ask: () => Promise<Answer>, silenceMs = SILENCE_MS): Promise<Answer> {
  const askedAt = performance.now()
  const first = ask()
  const { promise: silence, resolve } = Promise.withResolvers<'silence'>()
  // A process that stood still reads what has arrived before it speaks of silence.
  const timer = setTimeout(() => setImmediate(resolve, 'silence'), silenceMs)
  const isSilent = (await Promise.race([first.catch(() => undefined), silence])) === 'silence'
  clearTimeout(timer)

  if (!isSilent) {
    return first.catch((error: unknown) => {
      if (isLost(error)) return ask()
      throw error
    })
  }
  // It stood still for so long that the same token is of no use any more: what was asked for may still arrive.
  if (performance.now() - askedAt >= GRACE_MS) return first
  return Promise.any([first, ask()]).catch((error: unknown) => {
    throw error instanceof AggregateError ? telling(error.errors) : error
  })
}
