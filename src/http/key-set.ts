import { createRemoteJWKSet, customFetch, errors, importJWK, type JWK, type JWTVerifyGetKey } from 'jose'
import type { BaseLogger } from 'pino'
import { isObject } from '../shared/is-object.ts'

const TIMEOUT_MS = 3_000

/** How often the set may be read again for a key that is not in it: whoever calls with random ids must not flood the provider. */
const READS = 5
const READS_WITHIN_MS = 30_000

const ED25519 = 'Ed25519'
/** RFC 9864 gave EdDSA with Ed25519 a name of its own. A key under either name verifies both. */
const withoutEdDsaName = (jwk: JWK): JWK => {
  if (jwk.crv !== ED25519) return jwk
  const { alg: _, ...rest } = jwk
  return rest
}

const defaultAlg: Partial<Record<string, string>> = { RSA: 'RS256', OKP: ED25519 }
const byCurve: Partial<Record<string, string>> = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' }

/** Why a key cannot verify anything; `undefined` where it can, or is for something else, such as encryption. */
async function faultOf(jwk: JWK): Promise<string | undefined> {
  if (typeof jwk.kty !== 'string' || (jwk.use !== undefined && jwk.use !== 'sig')) return undefined
  if ('d' in jwk || jwk.kty === 'oct') return 'is not public'
  const alg = jwk.alg ?? defaultAlg[jwk.kty] ?? byCurve[String(jwk.crv)]
  if (alg === undefined) return undefined
  try {
    const key = await importJWK(jwk, alg)
    const { modulusLength } = key instanceof Uint8Array ? {} : (key.algorithm as { modulusLength?: number })
    return modulusLength !== undefined && modulusLength < 2_048 ? 'is weak' : undefined
  } catch {
    return 'cannot be read'
  }
}

/**
 * The keys of the identity provider. Those that cannot be used are left out, with a line in the log: one of them must not
 * shut out whoever has a token of another. A key that is not in the set is looked for in a new one.
 */
export function createKeySet(url: string, log: Pick<BaseLogger, 'warn'>): JWTVerifyGetKey {
  let warned = ''

  const usable = async (set: { keys: unknown[] }): Promise<JWK[]> => {
    const kept: JWK[] = []
    const faults: string[] = []
    for (const [index, key] of set.keys.entries()) {
      const jwk = isObject(key) ? withoutEdDsaName(key as JWK) : undefined
      const fault = jwk === undefined ? 'is no key' : await faultOf(jwk)
      if (fault === undefined && jwk !== undefined) kept.push(jwk)
      else faults.push(`${index + 1} ${fault}`)
    }
    const text = faults.join(', ')
    if (text !== warned && text !== '') log.warn({ keys: text }, 'keys of the identity provider are left out')
    warned = text
    return kept
  }

  const keys = createRemoteJWKSet(new URL(url), {
    timeoutDuration: TIMEOUT_MS,
    // Whether a key that is not found is looked for again is decided below.
    cooldownDuration: Number.POSITIVE_INFINITY,
    async [customFetch](...request) {
      const response = await fetch(...request)
      const set: unknown = response.ok ? await response.json().catch(() => undefined) : undefined
      if (!isObject(set) || !Array.isArray(set['keys'])) return new Response(null, { status: 502 })
      return Response.json({ keys: await usable({ keys: set['keys'] }) })
    }
  })

  const readsAt: number[] = []
  const mayReadAgain = (): boolean => {
    const at = performance.now()
    while (readsAt.length > 0 && (readsAt[0] ?? 0) <= at - READS_WITHIN_MS) readsAt.shift()
    if (readsAt.length >= READS) return false
    readsAt.push(at)
    return true
  }

  return async (header, token) => {
    try {
      return await keys(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !(keys.reloading || mayReadAgain())) throw error
      await keys.reload()
      return keys(header, token)
    }
  }
}
