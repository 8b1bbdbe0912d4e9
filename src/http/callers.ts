import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'
import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import { createFreshCache } from '../shared/fresh-cache.ts'
import type { Vault } from '../tokens/vault.ts'

/** Who calls, and for which locations. */
export interface Caller {
  id: string
  locations: ReadonlySet<string> | '*'
  /** Epoch milliseconds at which the credential ends by itself. */
  expiresAt: number
}

export interface JwtOptions {
  jwksUrl: string
  issuer: string
  audience: string
  locationsClaim: string
}

/** A revoked key, or a JWT whose signing key was withdrawn, is refused after this long at the latest. */
const MAX_AGE_MS = 10_000
const MAX_CACHED_CALLERS = 10_000

/** Pinned: a token must not choose `none`, nor have a public key taken for a shared secret. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']

const locationsOf = (claim: unknown): Caller['locations'] => {
  const listed = typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : []
  const ids = listed.filter((id): id is string => typeof id === 'string' && id !== '')
  return ids.includes('*') ? '*' : new Set(ids)
}

/** By jose's codes: a token that does not hold, as against a key set that cannot be had. */
const isTokensFault = (error: unknown) =>
  /^ERR_(JWT_|JWS_|JOSE_ALG|JOSE_NOT|JWKS_NO|JWKS_MULTIPLE)/.test(String((error as { code?: unknown }).code))

function createJwtCallers({ jwksUrl, issuer, audience, locationsClaim }: JwtOptions, now: () => number) {
  const keys = createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: 3_000 })

  return async (token: string): Promise<Caller | undefined> => {
    let payload: JWTPayload
    try {
      const options = {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        requiredClaims: ['sub', 'exp'],
        currentDate: new Date(now())
      }
      payload = (await jwtVerify(token, keys, options)).payload
    } catch (cause) {
      if (isTokensFault(cause)) return undefined
      throw new Problem('vault-unavailable', 'The keys of the identity provider cannot be read', {
        retryAfterSeconds: 5,
        cause
      })
    }
    const { sub, exp = 0 } = payload
    if (typeof sub !== 'string' || sub === '') return undefined
    return { id: `jwt:${sub}`, locations: locationsOf(payload[locationsClaim]), expiresAt: exp * 1_000 }
  }
}

interface Deps {
  vault: Pick<Vault, 'findKey'>
  jwt: JwtOptions | undefined
  now: () => number
  log: BaseLogger
}

/** Tells who a credential belongs to. Nothing is kept in clear: a credential is remembered by its digest. */
export function createCallers({ vault, jwt, now, log }: Deps) {
  const verifyJwt = jwt && createJwtCallers(jwt, now)

  const byKey = async (digest: string): Promise<Caller | undefined> => {
    const key = await vault.findKey(digest).catch((cause) => {
      throw new Problem('vault-unavailable', 'API keys cannot be read', { retryAfterSeconds: 5, cause })
    })
    if (key === undefined || key.revokedAt !== null) return undefined
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

    /** `undefined` for a credential that is unknown, revoked or expired. Rejects with a Problem. */
    async identify(credential: string, digest: string): Promise<Caller | undefined> {
      const isJwt = credential.split('.').length === 3
      return unexpired(await cache.get(digest, () => (verifyJwt && isJwt ? verifyJwt(credential) : byKey(digest))))
    }
  }
}

export type Callers = ReturnType<typeof createCallers>
