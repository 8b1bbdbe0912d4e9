import { createRemoteJWKSet, customFetch, importJWK, type JWK, type JWTVerifyGetKey } from 'jose'
import type { BaseLogger } from 'pino'
import { isObject } from '../shared/json.ts'

const TIMEOUT_MS = 3_000

/**
 * How often the set may be read again for a token that no key of it verifies: whoever sends made-up tokens must not flood
 * the provider, and must not keep a new key from being found for longer than one interval.
 */
const READS = 5
const READ_INTERVAL_MS = 6_000
/** A provider that has just failed is not asked by every call that needs it. */
const FAILURE_PAUSE_MS = 1_000

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

/** The entries of the set, whatever they are. What cannot be parsed is not quoted: it may hold a private key. */
async function read(...request: Parameters<typeof fetch>): Promise<readonly unknown[]> {
  const response = await fetch(...request)
  const set: unknown = response.ok ? await response.json().catch(() => undefined) : undefined
  if (isObject(set) && Array.isArray(set['keys'])) return set['keys']
  throw new Error(`The key set was answered with status ${response.status}, and has no keys`)
}

/** A bucket of reads that fills by one each interval. A clock that is set back costs no more than one of them. */
function createReadLimit(now: () => number): () => boolean {
  let left = READS
  let countedAt = now()
  return () => {
    const at = now()
    left = Math.min(READS, left + Math.max(0, at - countedAt) / READ_INTERVAL_MS)
    countedAt = at
    if (left < 1) return false
    left -= 1
    return true
  }
}

export interface KeySet {
  /** The key of a token; rejects where the set has none, several, or cannot be had. */
  find: JWTVerifyGetKey
  /** Reads the set again, once for all that wait; false where it was read too often of late. */
  readAgain(): Promise<boolean>
}

/**
 * The keys of the identity provider. Those that cannot be used are left out, with a line in the log: one of them must not
 * shut out whoever has a token of another.
 */
export function createKeySet(url: string, now: () => number, log: Pick<BaseLogger, 'warn'>): KeySet {
  let warned = ''
  let failure: { at: number; error: unknown } | undefined

  const usable = async (set: readonly unknown[]): Promise<JWK[]> => {
    const kept: JWK[] = []
    const faults: string[] = []
    for (const [index, key] of set.entries()) {
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
    // When the set is read again is decided by `readAgain`.
    cooldownDuration: Number.POSITIVE_INFINITY,
    async [customFetch](...request) {
      if (failure !== undefined && Math.abs(now() - failure.at) < FAILURE_PAUSE_MS) throw failure.error
      try {
        const set = await read(...request)
        failure = undefined
        return Response.json({ keys: await usable(set) })
      } catch (error) {
        failure = { at: now(), error }
        throw error
      }
    }
  })
  const mayRead = createReadLimit(now)

  return {
    find: keys,
    async readAgain() {
      if (!keys.reloading && !mayRead()) return false
      await keys.reload()
      return true
    }
  }
}
