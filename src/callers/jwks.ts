import { createRemoteJWKSet, customFetch, importJWK, type JWK, type JWTVerifyGetKey } from 'jose'
import type { BaseLogger } from 'pino'
import type { Clock } from '../shared/clock.ts'
import { isObject } from '../shared/json.ts'

const TIMEOUT_MS = 3_000

/**
 * Limits how often the set is reloaded for tokens that none of its keys verifies. Forged tokens must not flood the
 * provider, nor delay the discovery of a new key for longer than one interval.
 */
const MAX_RELOADS = 5
const RELOAD_INTERVAL_MS = 6_000
/** After a failure the provider is not asked again for this long. */
const FAILURE_PAUSE_MS = 1_000

const ED25519 = 'Ed25519'
/** RFC 9864 renamed EdDSA with Ed25519 to Ed25519. Without `alg`, a key verifies tokens that use either name. */
const withoutEd25519Alg = (jwk: JWK): JWK => {
  if (jwk.crv !== ED25519) return jwk
  const { alg: _, ...rest } = jwk
  return rest
}

const algByType: Partial<Record<string, string>> = { RSA: 'RS256', OKP: ED25519 }
const algByCurve: Partial<Record<string, string>> = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' }

/** Why a key is unusable; `undefined` if it is usable, or has another purpose such as encryption. */
async function findKeyError(jwk: JWK): Promise<string | undefined> {
  if (typeof jwk.kty !== 'string' || (jwk.use !== undefined && jwk.use !== 'sig')) return undefined
  if ('d' in jwk || jwk.kty === 'oct') return 'is not public'
  const alg = jwk.alg ?? algByType[jwk.kty] ?? algByCurve[String(jwk.crv)]
  if (alg === undefined) return undefined
  try {
    const key = await importJWK(jwk, alg)
    const { modulusLength } = key instanceof Uint8Array ? {} : (key.algorithm as { modulusLength?: number })
    return modulusLength !== undefined && modulusLength < 2_048 ? 'is weak' : undefined
  } catch {
    return 'cannot be read'
  }
}

/** The unvalidated keys of the set. Errors do not quote the answer: it may hold a private key. */
async function fetchKeys(...request: Parameters<typeof fetch>): Promise<readonly unknown[]> {
  const response = await fetch(...request)
  const set: unknown = response.ok ? await response.json().catch(() => undefined) : undefined
  if (isObject(set) && Array.isArray(set['keys'])) return set['keys']
  throw new Error(`The key set endpoint answered with status ${response.status} and no keys`)
}

/** A token bucket, refilled by one per interval. Setting the clock back costs at most one reload. */
function createReloadLimit(clock: Pick<Clock, 'now'>): () => boolean {
  let tokens = MAX_RELOADS
  let refilledAt = clock.now()
  return () => {
    const at = clock.now()
    tokens = Math.min(MAX_RELOADS, tokens + Math.max(0, at - refilledAt) / RELOAD_INTERVAL_MS)
    refilledAt = at
    if (tokens < 1) return false
    tokens -= 1
    return true
  }
}

export interface KeySet {
  /** The key of a token. Rejects if the set has no such key, has several, or cannot be loaded. */
  find: JWTVerifyGetKey
  /** Reloads the set, once for all concurrent calls. `false` if it was reloaded too often recently. */
  reload(): Promise<boolean>
}

/**
 * The keys of the identity provider. Unusable keys are left out and logged: one bad key must not lock out callers whose
 * tokens use another.
 */
export function createKeySet(url: string, clock: Pick<Clock, 'now'>, log: Pick<BaseLogger, 'warn'>): KeySet {
  let lastWarning = ''
  let failure: { at: number; error: unknown } | undefined

  const usableKeys = async (set: readonly unknown[]): Promise<JWK[]> => {
    const kept: JWK[] = []
    const keyErrors: string[] = []
    for (const [index, key] of set.entries()) {
      const jwk = isObject(key) ? withoutEd25519Alg(key as JWK) : undefined
      const keyError = jwk === undefined ? 'is not a key' : await findKeyError(jwk)
      if (keyError === undefined && jwk !== undefined) kept.push(jwk)
      else keyErrors.push(`${index + 1} ${keyError}`)
    }
    const text = keyErrors.join(', ')
    if (text !== lastWarning && text !== '')
      log.warn({ keys: text }, 'unusable keys of the identity provider are ignored')
    lastWarning = text
    return kept
  }

  const keySet = createRemoteJWKSet(new URL(url), {
    timeoutDuration: TIMEOUT_MS,
    // `reload` decides when the set is loaded again.
    cooldownDuration: Number.POSITIVE_INFINITY,
    async [customFetch](...request) {
      if (failure !== undefined && Math.abs(clock.now() - failure.at) < FAILURE_PAUSE_MS) throw failure.error
      try {
        const set = await fetchKeys(...request)
        failure = undefined
        return Response.json({ keys: await usableKeys(set) })
      } catch (error) {
        failure = { at: clock.now(), error }
        throw error
      }
    }
  })
  const mayReload = createReloadLimit(clock)

  return {
    find: keySet,
    async reload() {
      if (!keySet.reloading && !mayReload()) return false
      await keySet.reload()
      return true
    }
  }
}
