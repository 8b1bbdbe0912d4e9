import type { BaseLogger } from 'pino'
import type { TokenSource } from '../highlevel/bearer.ts'
import { Problem } from '../problems/problem.ts'
import { createFreshCache } from '../shared/fresh-cache.ts'
import type { Grant, Subject } from './grant.ts'
import type { PendingSaves } from './pending-saves.ts'
import type { Renew } from './renewal/acquired-tokens.ts'
import type { GrantStore } from './vault/vault.ts'

/** Bounds how long a removed or replaced grant stays in use in a process that did not see the change. */
const MAX_AGE_MS = 10_000
const MAX_CACHED_TOKENS = 100_000

interface Deps {
  vault: Pick<GrantStore, 'markVerified' | 'markRefused'>
  saves: Pick<PendingSaves, 'load'>
  renew: Renew
  now: () => number
  log: BaseLogger
}

/** What a call needs of a grant, and no more: there may be a hundred thousand in memory. */
interface Held extends Pick<Grant, 'generation' | 'kind' | 'verified'> {
  accessToken: string | undefined
  expiresAt: number | null
}

const LEAD = 'location:'
const subjectOf = (locationId: string): Subject => `${LEAD}${locationId}`

const heldOf = ({ generation, kind, verified, tokens }: Grant): Held => ({
  generation,
  kind,
  verified,
  accessToken: tokens?.accessToken,
  expiresAt: tokens?.expiresAt ?? null
})

/** The access tokens of locations, from memory where possible. A token that has not expired is used, whatever fails. */
export function createAccessTokens({ vault, saves, renew, now, log }: Deps) {
  /** By location id: a call makes no other string of it. */
  const cache = createFreshCache<Held>({
    maxAgeMs: MAX_AGE_MS,
    maxEntries: MAX_CACHED_TOKENS,
    now,
    onStale: (err) => log.warn({ err }, 'the vault cannot be read: tokens in memory stay in use')
  })
  /** Locations whose token is to be confirmed, few and mostly none: what a call asks before it asks anything else. */
  const unproven = new Set<string>()

  const noteProof = (locationId: string, { verified }: Pick<Held, 'verified'>) =>
    verified ? unproven.delete(locationId) : unproven.add(locationId)

  const load = async (locationId: string): Promise<Held | undefined> => {
    const grant = await saves.load(subjectOf(locationId))
    // Not remembered, so that an install elsewhere counts at once.
    if (grant === undefined || grant.state === 'uninstalled') return undefined
    noteProof(locationId, grant)
    return heldOf(grant)
  }

  const heldFor = (locationId: string) => cache.get(locationId, () => load(locationId))

  const put = (locationId: string, held: Held): void => {
    noteProof(locationId, held)
    cache.put(locationId, held)
  }

  const remember = (grant: Grant): void => {
    if (grant.subject.startsWith(LEAD)) put(grant.subject.slice(LEAD.length), heldOf(grant))
  }

  const renewed = async (locationId: string, refused?: string): Promise<string> => {
    const grant = await renew(subjectOf(locationId), refused)
    remember(grant)
    return grant.tokens?.accessToken ?? ''
  }

  const connected = (locationId: string, held: Held | undefined): Held => {
    if (held !== undefined) return held
    throw new Problem('location-not-connected', `Location ${locationId} is not connected to this gateway`)
  }

  const usable = ({ accessToken, expiresAt }: Held): string | undefined =>
    expiresAt === null || now() < expiresAt ? accessToken : undefined

  const tokenOf = (locationId: string, held: Held | undefined): string | Promise<string> =>
    usable(connected(locationId, held)) ?? renewed(locationId)

  /** What is learnt of a token by using it. Where the store cannot be told now, it is learnt again once it is read again. */
  const learn = (locationId: string, held: Held, verified: boolean, note: Promise<void>): void => {
    put(locationId, { ...held, verified })
    note.catch((err) => log.warn({ location: locationId, err }, 'what HighLevel makes of a token could not be noted'))
  }

  const source: TokenSource = {
    tokenFor(locationId) {
      const held = heldFor(locationId)
      return held instanceof Promise ? held.then((read) => tokenOf(locationId, read)) : tokenOf(locationId, held)
    },

    async replace(locationId, refused) {
      const held = connected(locationId, await heldFor(locationId))
      const current = usable(held)
      if (current !== undefined && current !== refused) return current
      if (held.kind === 'private') {
        // Nothing can be put in its place, and a person has to: calls find out by themselves when one has.
        if (held.verified) {
          log.error({ location: locationId }, 'HighLevel no longer takes a private integration token: add a new one')
          learn(locationId, held, false, vault.markRefused(subjectOf(locationId), held.generation, now()))
        }
        return undefined
      }
      const token = await renewed(locationId, refused)
      return token === refused ? undefined : token
    },

    confirm(locationId, token) {
      if (unproven.size === 0) return
      const held = cache.peek(locationId)
      if (held === undefined || held.verified || held.accessToken !== token) return
      learn(locationId, held, true, vault.markVerified(subjectOf(locationId), held.generation, now()))
    }
  }

  return { ...source, remember, drop: (locationId: string) => cache.drop(locationId) }
}
