import type { BaseLogger } from 'pino'
import type { Leases } from './leases.ts'
import type { Grant, GrantStore, Lease } from './vault.ts'

/** Often enough to finish what a dead process began while HighLevel's grace of 30 s lasts. */
const EVERY_MS = 2_000
const AT_ONCE = 8

interface Deps {
  vault: Pick<GrantStore, 'claimDue'>
  leases: Pick<Leases, 'next'>
  renewClaimed: (grant: Grant, lease: Lease) => Promise<void>
  log: BaseLogger
}

/**
 * Renews what is due, traffic or not: grants at 80 % of their life, failed renewals whose pause is over, and renewals
 * whose process died. Any number of replicas share the work: each takes the next row that nobody has, and none leads.
 */
export function startSweep({ vault, leases, renewClaimed, log }: Deps) {
  const workers = new Set<Promise<void>>()
  let isStopped = false
  let isFailing = false

  const work = async (): Promise<void> => {
    while (!isStopped) {
      const lease = leases.next()
      const grant = await vault.claimDue(lease)
      isFailing = false
      if (grant === undefined) return
      // There was one: another worker looks whether there are more.
      start()
      await renewClaimed(grant, lease)
    }
  }

  const start = (): void => {
    if (isStopped || workers.size >= AT_ONCE) return
    const worker = work()
      .catch((err) => {
        if (!isFailing) log.warn({ err }, 'the vault cannot be swept: what is due waits')
        isFailing = true
      })
      .finally(() => workers.delete(worker))
    workers.add(worker)
  }

  const timer = setInterval(start, EVERY_MS)
  start()

  return {
    /** Takes nothing more. What it has taken goes on. */
    stop(): void {
      isStopped = true
      clearInterval(timer)
    }
  }
}
