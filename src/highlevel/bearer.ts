import type { Answer, Layer, LocationCall } from './call.ts'
import { lateToken, withDeadline } from './deadline.ts'
import { isTokenFault } from './errors/to-problem.ts'

/** The tokens of locations, as the bearer layer needs them. Every method rejects with a Problem. */
export interface TokenSource {
  /** The access token to use now. */
  tokenFor(locationId: string): string | Promise<string>
  /** A token in place of one that HighLevel refused, never that one again; `undefined` where there is none better. */
  replace(locationId: string, refused: string): Promise<string | undefined>
  /** HighLevel took this token. */
  confirm(locationId: string, token: string): void
}

/** An answer that came from behind HighLevel's guards. */
const provesToken = ({ status }: Answer) => status < 500 && status !== 401 && status !== 403 && status !== 429

/** What HighLevel says of a refused call is shown and logged: where it repeats the token, the token goes. */
const withoutToken = (answer: Answer, token: string): Answer =>
  answer.body.includes(token)
    ? { ...answer, body: Buffer.from(answer.body.toString('utf8').replaceAll(token, '[token]')) }
    : answer

/** The token in memory may be older than the one that another process has stored, and that one may be dead as well. */
const MAX_REPLACEMENTS = 2

/**
 * Sends the token of the call's location. A refused token is replaced and the call repeated: a refusal that speaks of a
 * scope, a token class or a version never is, since a new token would be refused for the same reason.
 */
export const bearer =
  ({ tokenFor, replace, confirm }: TokenSource): Layer<LocationCall> =>
  (next) => {
    /** A call is sent once at a time: its copy would cost more than the rest of this. */
    const ask = (call: LocationCall, token: string): Promise<Answer> => {
      call.authorization = `Bearer ${token}`
      return next(call)
    }

    const heard = (call: LocationCall, token: string, answer: Answer): Answer => {
      if (provesToken(answer)) confirm(call.locationId, token)
      return answer.status < 300 ? answer : withoutToken(answer, token)
    }

    const timed = async <T>(call: LocationCall, wait: Promise<T>): Promise<T> => {
      const startedAt = performance.now()
      try {
        return await withDeadline(call.deadlineAt, wait, lateToken)
      } finally {
        call.callRecord.tokenMs += performance.now() - startedAt
      }
    }

    return async (call) => {
      const held = tokenFor(call.locationId)
      let token = typeof held === 'string' ? held : await timed(call, held)
      let answer = heard(call, token, await ask(call, token))
      for (let left = MAX_REPLACEMENTS; left > 0 && isTokenFault(answer); left -= 1) {
        const fresh = await timed(call, replace(call.locationId, token))
        if (fresh === undefined) break
        token = fresh
        answer = heard(call, token, await ask(call, token))
      }
      return answer
    }
  }
