import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import { createFreshCache } from '../shared/fresh-cache.ts'
import type { TokenSource } from '../upstream/bearer.ts'
import type { GrantSaves } from './grant-saves.ts'
import type { Renew } from './renewal.ts'
import { isUsable } from './usable.ts'
import type { Grant, GrantStore, Subject } from './vault.ts'

/** Bounds how long a removed or replaced grant stays in use in a process that did not see the change. */
const MAX_AGE_MS = 10_000
const MAX_CACHED_GRANTS = 100_000

interface Deps {
  vault: Pick<GrantStore, 'markProven' | 'markRefused'>
  saves: Pick<GrantSaves, 'load'>
  renew: Renew
  now: () => number
  log: BaseLogger
}

const LEAD = 'location:'
const subjectOf = (locationId: string): Subject => `${LEAD}${locationId}`

/** The access tokens of locations, from memory where possible. A token that has not expired is used, whatever fails. */
export function createLocationTokens({ vault, saves, renew, now, log }: Deps) {
  /** By location id: a call makes no other string of it. */
  const cache = createFreshCache<Grant>({
    maxAgeMs: MAX_AGE_MS,
    maxEntries: MAX_CACHED_GRANTS,
    now,
    onStale: (err) => log.warn({ err }, 'the vault cannot be read: tokens in memory stay in use')
  })

  /** Locations whose token is to be confirmed, few and mostly none: what a call asks before it asks anything else. */
  const unproven = new Set<string>()

  const noteProof = (locationId: string, { proven }: Grant) =>
    proven ? unproven.delete(locationId) : unproven.add(locationId)

  const load = async (locationId: string): Promise<Grant | undefined> => {
    const grant = await saves.load(subjectOf(locationId))
    // Not remembered, so that an install elsewhere counts at once.
    if (grant === undefined || grant.state === 'uninstalled') return undefined
    noteProof(locationId, grant)
    return grant
  }

  const grantOf = (locationId: string) => cache.get(locationId, () => load(locationId))

  const remember = (grant: Grant): void => {
    if (!grant.subject.startsWith(LEAD)) return
    const locationId = grant.subject.slice(LEAD.length)
    noteProof(locationId, grant)
    cache.put(locationId, grant)
  }

  const renewed = async (grant: Grant, refused?: string): Promise<string | undefined> => {
    const next = await renew(grant.subject, refused)
    remember(next)
    return next.tokens?.accessToken
  }

  const tokenOf = (grant: Grant): string | Promise<string> =>
    isUsable(grant, now()) ? grant.tokens.accessToken : renewed(grant).then((token) => token ?? '')

  const loaded = (locationId: string, grant: Grant | undefined): Grant => {
    if (grant !== undefined) return grant
    throw new Problem('location-not-connected', `Location ${locationId} is not connected to this gateway`)
  }

  /** What is learnt of a token by using it. Where the store cannot be told now, it is learnt again once it is read again. */
  const learn = (grant: Grant, proven: boolean, note: Promise<void>): void => {
    remember({ ...grant, proven })
    note.catch((err) => log.warn({ subject: grant.subject, err }, 'what HighLevel makes of a token could not be noted'))
  }

  const source: TokenSource = {
    tokenFor(locationId) {
      const held = grantOf(locationId)
      if (held instanceof Promise) return held.then((grant) => tokenOf(loaded(locationId, grant)))
      return tokenOf(loaded(locationId, held))
    },

    async replace(locationId, refused) {
      const grant = loaded(locationId, await grantOf(locationId))
      if (isUsable(grant, now()) && grant.tokens.accessToken !== refused) return grant.tokens.accessToken
      if (grant.kind === 'private') {
        // Nothing can be put in its place, and a person has to: calls find out by themselves when one has.
        if (grant.proven) {
          log.error({ subject: grant.subject }, 'HighLevel no longer takes a private integration token: add a new one')
          learn(grant, false, vault.markRefused(grant.subject, grant.generation, now()))
        }
        return undefined
      }
      const token = await renewed(grant, refused)
      return token === refused ? undefined : token
    },

    confirm(locationId, token) {
      if (unproven.size === 0) return
      const grant = cache.peek(locationId)
      if (grant === undefined || grant.proven || grant.tokens?.accessToken !== token) return
      learn(grant, true, vault.markProven(grant.subject, grant.generation, now()))
    }
  }

  return { ...source, remember, forget: (locationId: string) => cache.drop(locationId) }
}

export type LocationTokens = ReturnType<typeof createLocationTokens>
