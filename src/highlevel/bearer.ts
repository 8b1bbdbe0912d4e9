import type { Clock } from '../shared/clock.ts'
import type { Answer, Layer, LocationCall } from './call.ts'
import { tokenDeadlineProblem, withDeadline } from './deadline.ts'
import { isTokenFault } from './errors/to-problem.ts'

/** The access tokens of locations. Every method rejects with a Problem. */
export interface TokenSource {
  /** The current access token. */
  tokenFor(locationId: string): string | Promise<string>
  /** Another token after HighLevel refused this one. Never the same one; `undefined` if there is no other. */
  replace(locationId: string, refused: string): Promise<string | undefined>
  /** HighLevel accepted this token. */
  confirm(locationId: string, token: string): void
}

/** Whether an answer comes from behind HighLevel's checks of token, scope and rate limit. */
const provesToken = ({ status }: Answer) => status < 500 && status !== 401 && status !== 403 && status !== 429

/** HighLevel's error messages are shown and logged, so a repeated token is removed from them. */
const withoutToken = (answer: Answer, token: string): Answer =>
  answer.body.includes(token)
    ? { ...answer, body: Buffer.from(answer.body.toString('utf8').replaceAll(token, '[token]')) }
    : answer

/** The token in memory may be older than the one that another process stored, and that one may be invalid too. */
const MAX_REPLACEMENTS = 2

/**
 * Sends the token of the call's location. When HighLevel refuses the token, the call is repeated with another one. A
 * refusal because of a scope, a token class or a version is not repeated: another token would be refused as well.
 */
export const bearer =
  ({ tokenFor, replace, confirm }: TokenSource, clock: Clock): Layer<LocationCall> =>
  (next) => {
    /** Changes the call, since a copy would cost more than the rest of this layer. A call is sent once at a time. */
    const sendWith = (call: LocationCall, token: string): Promise<Answer> => {
      call.authorization = `Bearer ${token}`
      return next(call)
    }

    const checkAnswer = (call: LocationCall, token: string, answer: Answer): Answer => {
      if (provesToken(answer)) confirm(call.locationId, token)
      return answer.status < 300 ? answer : withoutToken(answer, token)
    }

    const timed = async <T>(call: LocationCall, wait: Promise<T>): Promise<T> => {
      const startedAt = clock.monotonic()
      try {
        return await withDeadline(clock, call.deadlineAt, wait, tokenDeadlineProblem)
      } finally {
        call.callRecord.tokenMs += clock.monotonic() - startedAt
      }
    }

    return async (call) => {
      const current = tokenFor(call.locationId)
      let token = typeof current === 'string' ? current : await timed(call, current)
      let answer = checkAnswer(call, token, await sendWith(call, token))
      for (let left = MAX_REPLACEMENTS; left > 0 && isTokenFault(answer); left -= 1) {
        const other = await timed(call, replace(call.locationId, token))
        if (other === undefined) break
        token = other
        answer = checkAnswer(call, token, await sendWith(call, token))
      }
      return answer
    }
  }
