import type { BaseLogger } from 'pino'
import type { Vault } from '../grants/vault/vault.ts'
import { type Problem, vaultUnavailable } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import { createFreshCache } from '../shared/fresh-cache.ts'
import type { Caller } from './caller.ts'
import { createJwtVerifier, type JwtOptions, providerUnavailable } from './jwt.ts'

/**
 * How long a verified credential is trusted: a revoked key, or a JWT of a removed key, is rejected at the latest then.
 */
const MAX_AGE_MS = 10_000
const MAX_CACHED_CALLERS = 10_000

/** Receives why a credential was rejected: for the log, never for the caller. */
type OnRejected = (reason: string) => void

interface Deps {
  vault: Pick<Vault, 'findKey'>
  jwt: JwtOptions | undefined
  clock: Clock
  log: BaseLogger
}

/** Identifies callers by their credential. Credentials are cached by digest, never in clear. */
export function createCallers({ vault, jwt, clock, log }: Deps) {
  const verifyJwt = jwt && createJwtVerifier(jwt, clock, log)
  const isJwt = (credential: string) => verifyJwt !== undefined && credential.split('.').length === 3

  const findByApiKey = async (digest: string, onRejected: OnRejected): Promise<Caller | undefined> => {
    const key = await vault.findKey(digest).catch((cause) => {
      throw vaultUnavailable('API keys cannot be read from the database', cause)
    })
    if (key === undefined || key.revokedAt !== null) {
      onRejected(key === undefined ? 'unknown' : 'revoked')
      return undefined
    }
    const locations = key.locations.includes('*') ? '*' : new Set(key.locations)
    return { id: key.id, locations, expiresAt: Number.POSITIVE_INFINITY }
  }

  const cache = createFreshCache<Caller>({
    maxAgeMs: MAX_AGE_MS,
    maxEntries: MAX_CACHED_CALLERS,
    clock,
    onStale: (err) => log.warn({ err }, 'credentials cannot be verified: cached callers remain accepted')
  })

  const ifUnexpired = (caller: Caller | undefined) =>
    caller !== undefined && clock.now() < caller.expiresAt ? caller : undefined

  return {
    /** The caller with this credential digest, if verified recently. */
    findCached: (digest: string): Caller | undefined => ifUnexpired(cache.peek(digest)),

    /**
     * `undefined` if the credential is unknown, revoked or expired: `onRejected` receives why. Rejects with a Problem.
     */
    async identify(credential: string, digest: string, onRejected: OnRejected): Promise<Caller | undefined> {
      const load = () =>
        verifyJwt && isJwt(credential) ? verifyJwt(credential, onRejected) : findByApiKey(digest, onRejected)
      const caller = await cache.get(digest, load)
      if (caller !== undefined && ifUnexpired(caller) === undefined) onRejected('expired')
      return ifUnexpired(caller)
    },

    /** The problem for a lookup that exceeded the deadline. */
    lookupTimeoutProblem: (credential: string): Problem =>
      isJwt(credential)
        ? providerUnavailable()
        : vaultUnavailable('The API key could not be looked up before the deadline')
  }
}

export type Callers = ReturnType<typeof createCallers>
