import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import { createFreshCache } from '../shared/fresh-cache.ts'
import type { TokenSource } from '../upstream/bearer.ts'
import type { GrantSaves } from './grant-saves.ts'
import { isUsable, PAUSE_AFTER_FAILURE_MS, type Renew } from './renewal.ts'
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
  /** When a renewal ahead of time may be tried again. */
  const failedUntil = new Map<Subject, number>()

  const cache = createFreshCache<Grant>({
    maxAgeMs: MAX_AGE_MS,
    maxEntries: MAX_CACHED_GRANTS,
    now,
    onStale: (err) => log.warn({ err }, 'the vault cannot be read: tokens in memory stay in use')
  })

  const load = async (subject: Subject): Promise<Grant | undefined> => {
    const grant = await grants.load(subject)
    // Not remembered, so that an install elsewhere counts at once.
    return grant?.state === 'uninstalled' ? undefined : grant
  }

  const grantOf = (locationId: string) => cache.get(subjectOf(locationId), () => load(subjectOf(locationId)))

  const renewed = async (grant: Grant, refused?: string): Promise<Grant> => {
    const next = await renew(grant, refused)
    cache.put(grant.subject, next)
    return next
  }

  /** Before a token is due nobody waits: the flight is shared, and its failure is logged where it happens. */
  const renewEarly = (grant: Grant) => {
    if (grant.state === 'reconnect-required' || now() < (failedUntil.get(grant.subject) ?? 0)) return
    renewed(grant).then(
      () => failedUntil.delete(grant.subject),
      () => failedUntil.set(grant.subject, now() + PAUSE_AFTER_FAILURE_MS)
    )
  }

  const tokenOf = (grant: Grant): string | Promise<string> => {
    if (!isUsable(grant, now())) return renewed(grant).then((next) => next.tokens?.accessToken ?? '')
    if (now() >= renewAt(grant.tokens)) renewEarly(grant)
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

      const token = (await renewed(grant, refused)).tokens?.accessToken
      if (token !== undefined) unproven.set(locationId, token)
      return token
    },

    confirm(locationId, token) {
      if (unproven.size > 0 && unproven.get(locationId) === token) unproven.delete(locationId)
    },

    forget: (locationId) => cache.drop(subjectOf(locationId))
  }
}
