import type { BaseLogger } from 'pino'
import type { Clock } from '../../shared/clock.ts'
import type { Grant, Lease } from '../grant.ts'
import type { Leases } from '../leases.ts'
import type { GrantStore } from '../vault/vault.ts'
import { GRACE_MS } from './schedule.ts'

/** Short enough to finish a dead process's refresh within HighLevel's grace. */
const CHECK_EVERY_MS = 2_000
const DUE_CONCURRENCY = 8
/** High, because each may take most of the grace while HighLevel's token endpoint hangs, and the rest must not wait. */
const UNKNOWN_OUTCOME_CONCURRENCY = 64
/** How often the vault is searched for times that lie in the future because a clock has been set back. */
const CLEAR_FUTURE_TIMES_EVERY_MS = 10_000

interface Deps {
  vault: Pick<GrantStore, 'claimDue' | 'claimUnknownOutcome' | 'clearFutureTimes'>
  leases: Pick<Leases, 'create'>
  renewClaimed: (grant: Grant, lease: Lease) => Promise<void>
  clock: Clock
  log: BaseLogger
}

type Claim = (lease: Lease) => Promise<Grant | undefined>

/** Claims and renews grants, up to `concurrency` at a time, until there is none left to claim. */
function createPool(concurrency: number, claim: Claim, { leases, renewClaimed, log }: Deps) {
  const workers = new Set<Promise<void>>()
  let isStopped = false
  let isFailing = false

  const work = async (): Promise<void> => {
    while (!isStopped) {
      const lease = leases.create()
      const grant = await claim(lease)
      isFailing = false
      if (grant === undefined) return
      // There may be more grants to claim: let another worker look.
      start()
      await renewClaimed(grant, lease)
    }
  }

  const start = (): void => {
    if (isStopped || workers.size >= concurrency) return
    const worker = work()
      .catch((err) => {
        if (!isFailing) log.warn({ err }, 'the vault cannot be read for renewals that are due: they will wait')
        isFailing = true
      })
      .finally(() => workers.delete(worker))
    workers.add(worker)
  }

  return {
    start,
    stop: () => {
      isStopped = true
    },
    settled: () => Promise.all(workers)
  }
}

/**
 * Renews grants that are due, with or without traffic: at 80 % of their tokens' life, and after the pause of a failed
 * renewal. Any number of replicas share the work without a leader: each claims the next grant that nobody has a lease on.
 *
 * A refresh of unknown outcome, because its process died or HighLevel's answer was lost, must be repeated within
 * HighLevel's grace. So these grants have a worker pool of their own and do not wait behind a thousand others.
 */
export function startRenewalWorker(deps: Deps) {
  const { vault, clock, log } = deps
  const pools = [
    createPool(UNKNOWN_OUTCOME_CONCURRENCY, (lease) => vault.claimUnknownOutcome(lease, lease.at - GRACE_MS), deps),
    createPool(DUE_CONCURRENCY, (lease) => vault.claimDue(lease), deps)
  ]
  const start = () => {
    for (const pool of pools) pool.start()
  }
  const clearFutureTimes = () => {
    vault.clearFutureTimes(clock.now()).catch((err) => log.debug({ err }, 'times in the future could not be cleared'))
  }
  const timers = [clock.every(CHECK_EVERY_MS, start), clock.every(CLEAR_FUTURE_TIMES_EVERY_MS, clearFutureTimes)]
  clearFutureTimes()
  start()

  return {
    /** Claims nothing more. Renewals in progress go on. */
    stop(): void {
      for (const pool of pools) pool.stop()
      for (const timer of timers) clock.cancel(timer)
    },
    /** Resolves when the renewals in progress have ended. */
    async settled(): Promise<void> {
      await Promise.all(pools.map((pool) => pool.settled()))
    }
  }
}
