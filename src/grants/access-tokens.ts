import type { BaseLogger } from 'pino'
import type { TokenSource } from '../highlevel/bearer.ts'
import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import { createFreshCache } from '../shared/fresh-cache.ts'
import type { Grant, Renew, Subject } from './grant.ts'
import type { PendingSaves } from './pending-saves.ts'
import type { GrantStore } from './vault/vault.ts'

/** How long a process may go on using a grant that another process has removed or replaced. */
const MAX_AGE_MS = 10_000
const MAX_CACHED_TOKENS = 100_000

interface Deps {
  vault: Pick<GrantStore, 'markVerified' | 'markRefused'>
  saves: Pick<PendingSaves, 'load'>
  renew: Renew
  clock: Clock
  log: BaseLogger
}

/** Only what a call needs of a grant, because the cache may hold a hundred thousand of them. */
interface CachedToken extends Pick<Grant, 'generation' | 'kind' | 'verified'> {
  accessToken: string | undefined
  expiresAt: number | null
}

const PREFIX = 'location:'
const subjectOf = (locationId: string): Subject => `${PREFIX}${locationId}`

const toCachedToken = ({ generation, kind, verified, tokens }: Grant): CachedToken => ({
  generation,
  kind,
  verified,
  accessToken: tokens?.accessToken,
  expiresAt: tokens?.expiresAt ?? null
})

/** The access tokens of locations, cached. A token that has not expired is used, even while the vault or HighLevel fails. */
export function createAccessTokens({ vault, saves, renew, clock, log }: Deps) {
  /** Keyed by location id, so that a call builds no other string from it. */
  const cache = createFreshCache<CachedToken>({
    maxAgeMs: MAX_AGE_MS,
    maxEntries: MAX_CACHED_TOKENS,
    clock,
    onStale: (err) => log.warn({ err }, 'the vault cannot be read: cached tokens stay in use')
  })
  /** The locations whose cached token is unverified. Usually empty, so that `confirm` costs a call almost nothing. */
  const unverified = new Set<string>()

  const trackUnverified = (locationId: string, { verified }: Pick<CachedToken, 'verified'>) =>
    verified ? unverified.delete(locationId) : unverified.add(locationId)

  const load = async (locationId: string): Promise<CachedToken | undefined> => {
    const grant = await saves.load(subjectOf(locationId))
    // `undefined` is not cached, so that an install through another process takes effect at once.
    if (grant === undefined || grant.state === 'uninstalled') return undefined
    trackUnverified(locationId, grant)
    return toCachedToken(grant)
  }

  const cachedOrLoaded = (locationId: string) => cache.get(locationId, () => load(locationId))

  const put = (locationId: string, token: CachedToken): void => {
    trackUnverified(locationId, token)
    cache.put(locationId, token)
  }

  const remember = (grant: Grant): void => {
    if (grant.subject.startsWith(PREFIX)) put(grant.subject.slice(PREFIX.length), toCachedToken(grant))
  }

  const renewed = async (locationId: string, refused?: string): Promise<string> => {
    const grant = await renew(subjectOf(locationId), refused)
    remember(grant)
    return grant.tokens?.accessToken ?? ''
  }

  const assertConnected = (locationId: string, token: CachedToken | undefined): CachedToken => {
    if (token !== undefined) return token
    throw new Problem('location-not-connected', `Location ${locationId} is not connected to this gateway`)
  }

  const unexpired = ({ accessToken, expiresAt }: CachedToken): string | undefined =>
    expiresAt === null || clock.now() < expiresAt ? accessToken : undefined

  const unexpiredOrRenewed = (locationId: string, token: CachedToken | undefined): string | Promise<string> =>
    unexpired(assertConnected(locationId, token)) ?? renewed(locationId)

  /** Records whether HighLevel accepts a token. If the vault cannot record it, a later call finds it out again. */
  const setVerified = (locationId: string, token: CachedToken, verified: boolean, stored: Promise<void>): void => {
    put(locationId, { ...token, verified })
    stored.catch((err) =>
      log.warn({ location: locationId, err }, 'whether HighLevel accepts a token could not be recorded')
    )
  }

  const source: TokenSource = {
    tokenFor(locationId) {
      const token = cachedOrLoaded(locationId)
      return token instanceof Promise
        ? token.then((loaded) => unexpiredOrRenewed(locationId, loaded))
        : unexpiredOrRenewed(locationId, token)
    },

    async replace(locationId, refused) {
      const token = assertConnected(locationId, await cachedOrLoaded(locationId))
      const current = unexpired(token)
      if (current !== undefined && current !== refused) return current
      if (token.kind === 'private') {
        // The gateway cannot replace it: an operator has to. Later calls notice by themselves when that has happened.
        if (token.verified) {
          log.error({ location: locationId }, 'HighLevel no longer accepts a private integration token: add a new one')
          setVerified(locationId, token, false, vault.markRefused(subjectOf(locationId), token.generation, clock.now()))
        }
        return undefined
      }
      const replacement = await renewed(locationId, refused)
      return replacement === refused ? undefined : replacement
    },

    confirm(locationId, accessToken) {
      if (unverified.size === 0) return
      const token = cache.peek(locationId)
      if (token === undefined || token.verified || token.accessToken !== accessToken) return
      setVerified(locationId, token, true, vault.markVerified(subjectOf(locationId), token.generation, clock.now()))
    }
  }

  return { ...source, remember, drop: (locationId: string) => cache.drop(locationId) }
}
