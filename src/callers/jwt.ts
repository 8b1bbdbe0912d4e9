import { errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import type { BaseLogger } from 'pino'
import { Problem } from '../problems/problem.ts'
import type { Caller } from './caller.ts'
import { createKeySet } from './jwks.ts'

export interface JwtOptions {
  jwksUrl: string
  issuer: string
  audience: string
  locationsClaim: string
}

/** Pinned: a token must not choose `none`, nor have a public key taken for a shared secret. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
]

const reasons: Partial<Record<string, string>> = {
  ERR_JWT_EXPIRED: 'expired',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'signature',
  ERR_JWKS_NO_MATCHING_KEY: 'kid: no key of the set fits',
  ERR_JOSE_ALG_NOT_ALLOWED: 'algorithm',
  ERR_JOSE_NOT_SUPPORTED: 'algorithm',
  ERR_JWT_INVALID: 'malformed',
  ERR_JWS_INVALID: 'malformed'
}
const claims: Partial<Record<string, string>> = { aud: 'audience', iss: 'issuer', nbf: 'not valid yet' }

/** What is wrong with the token, for the log; `undefined` where the key set could not be had. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof errors.JWTClaimValidationFailed) return claims[error.claim] ?? `claim ${error.claim}`
  return error instanceof errors.JOSEError ? reasons[error.code] : undefined
}

/** Its key may be newer than the set that is known: under an id of its own, or under none, or in place of another. */
const isOfUnknownKey = (error: unknown): boolean =>
  error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWSSignatureVerificationFailed

const locationsOf = (claim: unknown): Caller['locations'] => {
  const listed = typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : []
  const ids = listed.filter((id): id is string => typeof id === 'string' && id !== '')
  return ids.includes('*') ? '*' : new Set(ids)
}

export const providerUnavailable = (cause?: unknown) =>
  new Problem('identity-provider-unavailable', 'The keys of the identity provider cannot be read', {
    retryAfterSeconds: 5,
    cause
  })

/**
 * Tells who a JWT belongs to; `refused` hears why where it holds for nobody. Rejects with a Problem where the keys of the
 * identity provider cannot be had.
 */
export function createJwtCallers(
  { jwksUrl, issuer, audience, locationsClaim }: JwtOptions,
  now: () => number,
  log: Pick<BaseLogger, 'warn'>
) {
  const keys = createKeySet(jwksUrl, now, log)

  /** A token without a key id may be signed by any key of its kind. */
  const verifyWithAny = async (token: string, among: errors.JWKSMultipleMatchingKeys, options: JWTVerifyOptions) => {
    for await (const key of among) {
      try {
        return (await jwtVerify(token, key, options)).payload
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error
      }
    }
    throw new errors.JWSSignatureVerificationFailed()
  }

  const verifyWithKnown = async (token: string): Promise<JWTPayload> => {
    const options = {
      issuer,
      audience,
      algorithms: ALGORITHMS,
      requiredClaims: ['sub', 'exp'],
      currentDate: new Date(now())
    }
    try {
      return (await jwtVerify(token, keys.find, options)).payload
    } catch (error) {
      if (error instanceof errors.JWKSMultipleMatchingKeys) return verifyWithAny(token, error, options)
      throw error
    }
  }

  const verify = async (token: string): Promise<JWTPayload> => {
    try {
      return await verifyWithKnown(token)
    } catch (error) {
      if (!isOfUnknownKey(error) || !(await keys.readAgain())) throw error
      return verifyWithKnown(token)
    }
  }

  return async (token: string, refused: (reason: string) => void): Promise<Caller | undefined> => {
    try {
      const payload = await verify(token)
      const { sub, exp = 0 } = payload
      if (typeof sub === 'string' && sub !== '')
        return { id: `jwt:${sub}`, locations: locationsOf(payload[locationsClaim]), expiresAt: exp * 1_000 }
      refused('claim sub')
    } catch (cause) {
      const reason = reasonOf(cause)
      if (reason === undefined) throw providerUnavailable(cause)
      refused(reason)
    }
    return undefined
  }
}
