import type { BaseLogger } from 'pino'
import { Problem, vaultUnavailable } from '../../problems/problem.ts'
import type { Clock } from '../../shared/clock.ts'
import { createSingleFlight } from '../../shared/single-flight.ts'
import {
  type AcquiredTokens,
  type Grant,
  type IssuedGrant,
  isUsable,
  type Lease,
  type Renew,
  type Subject
} from '../grant.ts'
import type { Leases } from '../leases.ts'
import type { PendingSaves } from '../pending-saves.ts'
import type { GrantStore } from '../vault/vault.ts'
import type { AcquireTokens } from './acquire-tokens.ts'
import { assertRetryDue, type FailureHandler } from './failures.ts'
import { renewAt } from './schedule.ts'

/** How often a grant is read again while another process renews it. */
const POLL_MS = 100

/**
 * An unverified token that is refused is not replaced for this long. Otherwise a lasting 401 would spend a refresh token
 * with each call. After this it is replaced once more, because the cause of the 401 may be gone long before the token
 * expires.
 */
const NO_FORCED_RENEWAL_MS = 600_000

const wasJustForced = ({ verified, tokens }: Grant, now: number) =>
  !verified && tokens !== null && Math.abs(now - tokens.issuedAt) < NO_FORCED_RENEWAL_MS

interface Deps {
  vault: Pick<GrantStore, 'claimGrant'>
  saves: Pick<PendingSaves, 'load' | 'save'>
  leases: Pick<Leases, 'create' | 'keepAlive'>
  acquireTokens: AcquireTokens
  failureHandler: FailureHandler
  clock: Clock
  log: BaseLogger
  /** Aborted when the process shuts down: no renewal is started then, and none of another process is waited for. */
  ending: AbortSignal
  count: (result: 'renewed') => void
  /** Called at once with each grant that this process renewed. `saved` resolves when the vault has it. */
  onRenewed: (grant: Grant, saved: Promise<void>) => void
}

const notConnected = () => new Problem('location-not-connected', 'This location is not connected')

/**
 * Renews grants: one renewal at a time for each subject, within this process by a single flight and across processes by
 * a lease. The intent is committed with the lease before HighLevel is asked. The new tokens are saved even if the lease
 * has been lost by then (docs/tokens.md).
 */
export function createRenewal(deps: Deps) {
  const { vault, saves, leases, acquireTokens, failureHandler, clock, log, ending, count, onRenewed } = deps
  const singleFlight = createSingleFlight<Grant>()
  const workerRenewals = new Set<Promise<unknown>>()

  const claim = (grant: Grant, lease: Lease) =>
    vault.claimGrant(grant.subject, grant.generation, lease).catch((cause) => {
      throw vaultUnavailable('The vault cannot record that a token is being renewed', cause)
    })

  const toIssuedGrant = (grant: Grant, { kind, tokens, scopes }: AcquiredTokens, isForced: boolean): IssuedGrant => {
    const spent = grant.tokens?.refreshToken
    const hasRotated = kind === 'oauth' && spent !== undefined && spent !== tokens.refreshToken
    return {
      subject: grant.subject,
      companyId: grant.companyId,
      kind,
      scopes,
      tokens: hasRotated ? { ...tokens, previousRefreshToken: spent } : tokens,
      stateSince: grant.state === 'connected' ? grant.stateSince : clock.now(),
      verified: grant.verified && !isForced,
      dueAt: renewAt(tokens)
    }
  }

  /** Renews a grant that was claimed with `lease`. `isForced`: its access token was refused before it expired. */
  const renewUnderLease = async (grant: Grant, lease: Lease, isForced: boolean): Promise<Grant> => {
    const stopKeepAlive = leases.keepAlive(grant.subject, lease)
    let saved = Promise.resolve()
    let current: Grant | undefined
    try {
      const acquired = await acquireTokens(grant, lease, renew)
      if ('generation' in acquired) current = acquired
      else {
        const result = await saves.save(toIssuedGrant(grant, acquired, isForced), grant.generation)
        saved = result.saved
        current = result.grant
        count('renewed')
      }
    } catch (cause) {
      current = await failureHandler.handle(grant, lease, cause)
    } finally {
      // While the new tokens are held in memory alone, the lease keeps other processes from asking for them.
      saved.then(stopKeepAlive, stopKeepAlive)
    }
    // The grant may have been removed meanwhile.
    if (current === undefined || !isUsable(current, clock.now())) throw notConnected()
    onRenewed(current, saved)
    return current
  }

  const renewWhenDue = async (subject: Subject, refused: string | undefined): Promise<Grant> => {
    while (!ending.aborted) {
      const grant = await saves.load(subject)
      if (grant === undefined || grant.state === 'uninstalled') throw notConnected()
      const isRefused = refused !== undefined && grant.tokens?.accessToken === refused
      if (isUsable(grant, clock.now()) && !isRefused) return grant
      if (isRefused && wasJustForced(grant, clock.now())) return grant
      assertRetryDue(grant, clock.now())

      const lease = leases.create()
      const claimed = await claim(grant, lease)
      if (claimed !== undefined) return renewUnderLease(claimed, lease, isRefused)
      // Another process holds the lease or has just saved. Wait, then read again: what was read before is stale.
      await clock.sleep(POLL_MS * (1 + Math.random()))
    }
    throw new Problem('shutting-down', 'This process takes no new calls', { retryAfterSeconds: 1 })
  }

  /** Calls for the same subject and refused token share one renewal. */
  const renew: Renew = (subject, refused) =>
    singleFlight(`${subject} ${refused ?? ''}`, () => renewWhenDue(subject, refused))

  /** Renews a grant that the renewal worker has claimed. Never rejects: a failure is recorded with the grant. */
  const renewClaimed = async (grant: Grant, lease: Lease): Promise<void> => {
    const run = renewUnderLease(grant, lease, false).then(
      () => undefined,
      (err) => log.debug({ subject: grant.subject, err }, 'a renewal has to be tried again')
    )
    workerRenewals.add(run)
    await run
    workerRenewals.delete(run)
  }

  /** Resolves when no renewal is in progress. */
  const settled = async () => {
    await singleFlight.settled()
    while (workerRenewals.size > 0) await Promise.all(workerRenewals)
  }

  return { renew, renewClaimed, settled }
}
