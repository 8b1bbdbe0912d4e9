import { isTokenFault } from './answers.ts'
import type { Layer, LocationCall } from './call.ts'
import { before } from './deadline.ts'

/** The tokens of locations, as the bearer layer needs them. Every method rejects with a Problem. */
export interface TokenSource {
  /** The access token to use now. */
  tokenFor(locationId: string): string | Promise<string>
  /** A token in place of one that HighLevel refused; `undefined` where there is none better. */
  replace(locationId: string, refused: string): Promise<string | undefined>
  /** HighLevel took the token that replaced a refused one. */
  confirm(locationId: string): void
}

/**
 * Sends the token of the call's location. A refused token is replaced once and the call repeated once: a refusal that
 * speaks of a scope, a token class or a version never is, since a new token would be refused for the same reason.
 */
export const bearer =
  ({ tokenFor, replace, confirm }: TokenSource): Layer<LocationCall> =>
  (next) => {
    const ask = (call: LocationCall, token: string) => next({ ...call, authorization: `Bearer ${token}` })

    const timed = async <T>(call: LocationCall, wait: Promise<T>): Promise<T> => {
      const startedAt = performance.now()
      try {
        return await before(call.deadlineAt, wait)
      } finally {
        call.trace.tokenMs += performance.now() - startedAt
      }
    }

    return async (call) => {
      const held = tokenFor(call.locationId)
      const token = typeof held === 'string' ? held : await timed(call, held)
      const answer = await ask(call, token)
      if (!isTokenFault(answer)) return answer

      const fresh = await timed(call, replace(call.locationId, token))
      if (fresh === undefined) return answer
      const second = await ask(call, fresh)
      if (!isTokenFault(second)) confirm(call.locationId)
      return second
    }
  }
