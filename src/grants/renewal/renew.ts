import { setTimeout as sleep } from 'node:timers/promises'
import type { BaseLogger } from 'pino'
import { Problem } from '../../problems/problem.ts'
import { createSingleFlight } from '../../shared/single-flight.ts'
import { type Grant, type IssuedGrant, isUsable, type Lease, type Subject } from '../grant.ts'
import type { Leases } from '../leases.ts'
import type { PendingSaves } from '../pending-saves.ts'
import type { GrantStore } from '../vault/vault.ts'
import type { AcquireTokens } from './acquire-tokens.ts'
import type { AcquiredTokens } from './acquired-tokens.ts'
import { assertRetryDue, type FailureHandler } from './failures.ts'
import { renewAt } from './schedule.ts'

/** How often a grant is looked at that another process is renewing. */
const POLL_MS = 100

/**
 * A token that was refused as soon as it was made is not replaced again for this long: a lasting 401 would spend a grant
 * a call. What the refusal was about may pass, though, long before the token is due.
 */
const UNPROVEN_FOR_MS = 600_000

const wasJustForced = ({ verified, tokens }: Grant, now: number) =>
  !verified && tokens !== null && Math.abs(now - tokens.issuedAt) < UNPROVEN_FOR_MS

interface Deps {
  vault: Pick<GrantStore, 'claimGrant'>
  saves: Pick<PendingSaves, 'load' | 'save'>
  leases: Pick<Leases, 'create' | 'keepAlive'>
  acquireTokens: AcquireTokens
  failureHandler: FailureHandler
  now: () => number
  log: BaseLogger
  /** Aborted when the process ends: nothing is begun any more, nor waited for that others do. */
  ending: AbortSignal
  count: (result: 'renewed') => void
  /** Called with each grant that was renewed here, at once; `saved` resolves when the store has it. */
  onRenewed: (grant: Grant, saved: Promise<void>) => void
}

const notConnected = () => new Problem('location-not-connected', 'This location is not connected')

/**
 * Renews grants: one flight a subject in this process, one lease a subject among all. The intent is committed with the
 * lease before HighLevel is asked, and the answer is saved whoever holds the lease by then (docs/tokens.md).
 */
export function createRenewal({
  vault,
  saves,
  leases,
  acquireTokens,
  failureHandler,
  now,
  log,
  ending,
  count,
  onRenewed
}: Deps) {
  const fly = createSingleFlight<Grant>()
  const underWay = new Set<Promise<unknown>>()

  const claim = (grant: Grant, lease: Lease) =>
    vault.claimGrant(grant.subject, grant.generation, lease).catch((cause) => {
      throw new Problem('vault-unavailable', 'The renewal of the token cannot be noted', {
        retryAfterSeconds: 5,
        cause
      })
    })

  const fruitOf = (grant: Grant, { kind, tokens, scopes }: AcquiredTokens, forced: boolean): IssuedGrant => {
    const spent = grant.tokens?.refreshToken
    const hasRotated = kind === 'oauth' && spent !== undefined && spent !== tokens.refreshToken
    return {
      subject: grant.subject,
      companyId: grant.companyId,
      kind,
      scopes,
      tokens: hasRotated ? { ...tokens, previousRefreshToken: spent } : tokens,
      stateSince: grant.state === 'connected' ? grant.stateSince : now(),
      verified: grant.verified && !forced,
      dueAt: renewAt(tokens)
    }
  }

  /** Renews a grant that was claimed with `lease`. `forced`: its access token was refused before its time. */
  const perform = async (grant: Grant, lease: Lease, forced: boolean): Promise<Grant> => {
    const release = leases.keepAlive(grant.subject, lease)
    let saved = Promise.resolve()
    let inForce: Grant | undefined
    try {
      const outcome = await acquireTokens(grant, lease, renew)
      if ('generation' in outcome) inForce = outcome
      else {
        const kept = await saves.save(fruitOf(grant, outcome, forced), grant.generation)
        saved = kept.saved
        inForce = kept.grant
        count('renewed')
      }
    } catch (cause) {
      inForce = await failureHandler.handle(grant, lease, cause)
    } finally {
      // While the new pair is in memory alone nobody else has to ask for it.
      saved.then(release, release)
    }
    // It may have been removed meanwhile.
    if (inForce === undefined || !isUsable(inForce, now())) throw notConnected()
    onRenewed(inForce, saved)
    return inForce
  }

  const obtain = async (subject: Subject, refused: string | undefined): Promise<Grant> => {
    while (!ending.aborted) {
      const grant = await saves.load(subject)
      if (grant === undefined || grant.state === 'uninstalled') throw notConnected()
      const isRefused = refused !== undefined && grant.tokens?.accessToken === refused
      if (isUsable(grant, now()) && !isRefused) return grant
      if (isRefused && wasJustForced(grant, now())) return grant
      assertRetryDue(grant, now())

      const lease = leases.create()
      const claimed = await claim(grant, lease)
      if (claimed !== undefined) return perform(claimed, lease, isRefused)
      // Another holds the lease or has just saved. What was read before the wait is stale after it.
      await sleep(POLL_MS * (1 + Math.random()))
    }
    throw new Problem('shutting-down', 'This process takes no new calls', { retryAfterSeconds: 1 })
  }

  /**
   * A grant whose access token can be used: renewed here, by another process or by a new install. `refused` is the
   * access token that HighLevel no longer takes, where that is the reason; it comes back where a new one would not help.
   * Rejects with a Problem.
   */
  const renew = (subject: Subject, refused?: string): Promise<Grant> =>
    fly(`${subject} ${refused ?? ''}`, () => obtain(subject, refused))

  /** Renews a grant that a sweep has claimed. Never rejects: what goes wrong is noted with the grant. */
  const renewClaimed = async (grant: Grant, lease: Lease): Promise<void> => {
    const run = perform(grant, lease, false).then(
      () => undefined,
      (err) => log.debug({ subject: grant.subject, err }, 'a renewal has to be tried again')
    )
    underWay.add(run)
    await run
    underWay.delete(run)
  }

  /** Resolves when no renewal is under way. */
  const settled = async () => {
    await fly.settled()
    while (underWay.size > 0) await Promise.all(underWay)
  }

  return { renew, renewClaimed, settled }
}
