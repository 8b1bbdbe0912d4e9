import { errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import type { BaseLogger } from 'pino'
import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import type { Caller } from './caller.ts'
import { createKeySet } from './jwks.ts'

export interface JwtOptions {
  jwksUrl: string
  issuer: string
  audience: string
  locationsClaim: string
}

/** Pinned: a token must not be able to choose `none`, or to make a public key a shared secret. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
]

const reasonByCode: Partial<Record<string, string>> = {
  ERR_JWT_EXPIRED: 'expired',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'signature',
  ERR_JWKS_NO_MATCHING_KEY: 'kid: no matching key in the set',
  ERR_JOSE_ALG_NOT_ALLOWED: 'algorithm',
  ERR_JOSE_NOT_SUPPORTED: 'algorithm',
  ERR_JWT_INVALID: 'malformed',
  ERR_JWS_INVALID: 'malformed'
}
const reasonByClaim: Partial<Record<string, string>> = { aud: 'audience', iss: 'issuer', nbf: 'not valid yet' }

/** Why the token was rejected, for the log; `undefined` if the key set could not be loaded. */
function rejectionReason(error: unknown): string | undefined {
  if (error instanceof errors.JWTClaimValidationFailed) return reasonByClaim[error.claim] ?? `claim ${error.claim}`
  return error instanceof errors.JOSEError ? reasonByCode[error.code] : undefined
}

/** Whether the token's key may be newer than the loaded set: with a new id, without one, or replacing another key. */
const mayHaveNewKey = (error: unknown): boolean =>
  error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWSSignatureVerificationFailed

const parseLocations = (claim: unknown): Caller['locations'] => {
  const listed = typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : []
  const ids = listed.filter((id): id is string => typeof id === 'string' && id !== '')
  return ids.includes('*') ? '*' : new Set(ids)
}

export const providerUnavailable = (cause?: unknown) =>
  new Problem('identity-provider-unavailable', 'The keys of the identity provider cannot be loaded', {
    retryAfterSeconds: 5,
    cause
  })

/**
 * Verifies JWTs and identifies their callers. Returns `undefined` for a rejected token: `onRejected` receives why.
 * Rejects with a Problem if the keys of the identity provider cannot be loaded.
 */
export function createJwtVerifier(
  { jwksUrl, issuer, audience, locationsClaim }: JwtOptions,
  clock: Pick<Clock, 'now'>,
  log: Pick<BaseLogger, 'warn'>
) {
  const keys = createKeySet(jwksUrl, clock, log)

  /** A token without a key id may be signed by any key of its type. */
  const verifyWithAnyKey = async (
    token: string,
    candidates: errors.JWKSMultipleMatchingKeys,
    options: JWTVerifyOptions
  ) => {
    for await (const key of candidates) {
      try {
        return (await jwtVerify(token, key, options)).payload
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error
      }
    }
    throw new errors.JWSSignatureVerificationFailed()
  }

  const verifyWithKnownKeys = async (token: string): Promise<JWTPayload> => {
    const options = {
      issuer,
      audience,
      algorithms: ALGORITHMS,
      requiredClaims: ['sub', 'exp'],
      currentDate: new Date(clock.now())
    }
    try {
      return (await jwtVerify(token, keys.find, options)).payload
    } catch (error) {
      if (error instanceof errors.JWKSMultipleMatchingKeys) return verifyWithAnyKey(token, error, options)
      throw error
    }
  }

  const verify = async (token: string): Promise<JWTPayload> => {
    try {
      return await verifyWithKnownKeys(token)
    } catch (error) {
      if (!mayHaveNewKey(error) || !(await keys.reload())) throw error
      return verifyWithKnownKeys(token)
    }
  }

  return async (token: string, onRejected: (reason: string) => void): Promise<Caller | undefined> => {
    try {
      const payload = await verify(token)
      const { sub, exp = 0 } = payload
      if (typeof sub === 'string' && sub !== '')
        return { id: `jwt:${sub}`, locations: parseLocations(payload[locationsClaim]), expiresAt: exp * 1_000 }
      onRejected('claim sub')
    } catch (cause) {
      const reason = rejectionReason(cause)
      if (reason === undefined) throw providerUnavailable(cause)
      onRejected(reason)
    }
    return undefined
  }
}
