import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import { createFreshCache } from '../shared/fresh-cache.ts'
import type { TokenSource } from '../upstream/bearer.ts'
import { CipherError } from './cipher.ts'
import type { GrantSaves } from './grant-saves.ts'
import { isUsable, type Renew } from './renewal.ts'
import type { Grant, Subject, Tokens } from './vault.ts'

/** Bounds how long a removed or replaced grant stays in use in a process that did not see the change. */
const MAX_AGE_MS = 10_000
const MAX_CACHED_GRANTS = 100_000

/** Tokens are renewed at 80 to 85 % of their life: spread, so that locations connected together do not renew together. */
const RENEW_AT = 0.8
const RENEW_SPREAD = 0.05

interface Deps {
  grants: Pick<GrantSaves, 'load'>
  renew: Renew
  now: () => number
  log: BaseLogger
}

const renewAt = ({ issuedAt, expiresAt }: Tokens) =>
  expiresAt === null
    ? Number.POSITIVE_INFINITY
    : issuedAt + (expiresAt - issuedAt) * (RENEW_AT + ((issuedAt % 997) / 997) * RENEW_SPREAD)

const subjectOf = (locationId: string): Subject => `location:${locationId}`

/** The access tokens of locations, from memory where possible. A token that has not expired is used, whatever fails. */
export function createLocationTokens({
  grants,
  renew,
  now,
  log
}: Deps): TokenSource & { forget(locationId: string): void } {
  /** Tokens that came in place of a refused one and that HighLevel has not taken yet. */
  const unproven = new Map<string, string>()

  const cache = createFreshCache<Grant>({
    maxAgeMs: MAX_AGE_MS,
    maxEntries: MAX_CACHED_GRANTS,
    now,
    onStale: (err) => log.warn({ err }, 'the vault cannot be read: tokens in memory stay in use')
  })

  const load = async (subject: Subject): Promise<Grant | undefined> => {
    try {
      const grant = await grants.load(subject)
      // Not remembered, so that an install elsewhere counts at once.
      return grant?.state === 'uninstalled' ? undefined : grant
    } catch (cause) {
      if (cause instanceof CipherError) throw cause
      throw new Problem('vault-unavailable', 'The token of this location cannot be read', {
        retryAfterSeconds: 5,
        cause
      })
    }
  }

  const grantOf = (locationId: string) => cache.get(subjectOf(locationId), () => load(subjectOf(locationId)))

  const renewed = async (grant: Grant): Promise<Grant> => {
    const next = await renew(grant.subject, grant.generation)
    cache.put(grant.subject, next)
    return next
  }

  const tokenOf = (grant: Grant): string | Promise<string> => {
    if (!isUsable(grant, now())) return renewed(grant).then((next) => next.tokens?.accessToken ?? '')
    // Before it is due nobody waits: the flight is shared, and its failure is logged where it happens.
    if (now() >= renewAt(grant.tokens)) void renewed(grant).catch(() => undefined)
    return grant.tokens.accessToken
  }

  const loaded = (locationId: string, grant: Grant | undefined): Grant => {
    if (grant !== undefined) return grant
    throw new Problem('location-not-connected', `Location ${locationId} is not connected to this gateway`)
  }

  return {
    tokenFor(locationId) {
      const held = grantOf(locationId)
      if (held instanceof Promise) return held.then((grant) => tokenOf(loaded(locationId, grant)))
      return tokenOf(loaded(locationId, held))
    },

    async replace(locationId, refused) {
      const grant = loaded(locationId, await grantOf(locationId))
      if (isUsable(grant, now()) && grant.tokens.accessToken !== refused) return grant.tokens.accessToken
      // One that was refused as soon as it was made is not replaced again: a lasting 401 would spend a grant a call.
      if (grant.kind === 'private' || grant.state === 'reconnect-required' || unproven.get(locationId) === refused)
        return undefined

      const token = (await renewed(grant)).tokens?.accessToken
      if (token !== undefined) unproven.set(locationId, token)
      return token
    },

    confirm: (locationId) => void unproven.delete(locationId),
    forget: (locationId) => cache.drop(subjectOf(locationId))
  }
}
