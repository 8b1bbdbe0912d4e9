import type { BaseLogger } from 'pino'
import type { Vault } from '../grants/vault/vault.ts'
import { Problem } from '../problems/problem.ts'
import { createFreshCache } from '../shared/fresh-cache.ts'
import type { Caller } from './caller.ts'
import { createJwtCallers, type JwtOptions, providerUnavailable } from './jwt.ts'

/** A revoked key is refused after this long at the latest, and a JWT is held against the keys that are known by then. */
const MAX_AGE_MS = 10_000
const MAX_CACHED_CALLERS = 10_000

/** Told why a credential counts for nothing: for the log, never for the caller. */
type Refused = (reason: string) => void

interface Deps {
  vault: Pick<Vault, 'findKey'>
  jwt: JwtOptions | undefined
  now: () => number
  log: BaseLogger
}

/** Tells who a credential belongs to. Nothing is kept in clear: a credential is remembered by its digest. */
export function createCallers({ vault, jwt, now, log }: Deps) {
  const verifyJwt = jwt && createJwtCallers(jwt, now, log)
  const isJwt = (credential: string) => verifyJwt !== undefined && credential.split('.').length === 3

  const byKey = async (digest: string, refused: Refused): Promise<Caller | undefined> => {
    const key = await vault.findKey(digest).catch((cause) => {
      throw new Problem('vault-unavailable', 'API keys cannot be read', { retryAfterSeconds: 5, cause })
    })
    if (key === undefined || key.revokedAt !== null) {
      refused(key === undefined ? 'unknown' : 'revoked')
      return undefined
    }
    const locations = key.locations.includes('*') ? '*' : new Set(key.locations)
    return { id: key.id, locations, expiresAt: Number.POSITIVE_INFINITY }
  }

  const cache = createFreshCache<Caller>({
    maxAgeMs: MAX_AGE_MS,
    maxEntries: MAX_CACHED_CALLERS,
    now,
    onStale: (err) => log.warn({ err }, 'callers cannot be checked: those in memory stay known')
  })

  const unexpired = (caller: Caller | undefined) =>
    caller !== undefined && now() < caller.expiresAt ? caller : undefined

  return {
    /** Who the credential of this digest belongs to, where that was seen lately. */
    recall: (digest: string): Caller | undefined => unexpired(cache.peek(digest)),

    /** `undefined` for a credential that is unknown, revoked or expired: `refused` hears why. Rejects with a Problem. */
    async identify(credential: string, digest: string, refused: Refused): Promise<Caller | undefined> {
      const load = () => (verifyJwt && isJwt(credential) ? verifyJwt(credential, refused) : byKey(digest, refused))
      const caller = await cache.get(digest, load)
      if (caller !== undefined && unexpired(caller) === undefined) refused('expired')
      return unexpired(caller)
    },

    /** For a lookup that took too long. */
    late: (credential: string): Problem =>
      isJwt(credential)
        ? providerUnavailable()
        : new Problem('vault-unavailable', 'The time of the call ended while its API key was looked up', {
            retryAfterSeconds: 5
          })
  }
}

export type Callers = ReturnType<typeof createCallers>
