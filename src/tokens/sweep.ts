import type { BaseLogger } from 'pino'
import type { Grant, Lease } from './grant.ts'
import type { Leases } from './leases.ts'
import { GRACE_MS } from './schedule.ts'
import type { GrantStore } from './vault.ts'

/** Often enough to finish what a dead process began while HighLevel's grace lasts. */
const EVERY_MS = 2_000
const AT_ONCE = 8

interface Deps {
  vault: Pick<GrantStore, 'claimDue' | 'claimDangling'>
  leases: Pick<Leases, 'next'>
  renewClaimed: (grant: Grant, lease: Lease) => Promise<void>
  log: BaseLogger
}

type Claim = (lease: Lease) => Promise<Grant | undefined>

/** Takes one grant after another, several at a time, until there is none left. */
function createLane(claim: Claim, { leases, renewClaimed, log }: Deps) {
  const workers = new Set<Promise<void>>()
  let isStopped = false
  let isFailing = false

  const work = async (): Promise<void> => {
    while (!isStopped) {
      const lease = leases.next()
      const grant = await claim(lease)
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

  return {
    start,
    stop: () => {
      isStopped = true
    },
    settled: () => Promise.all(workers)
  }
}

/**
 * Renews what is due, traffic or not: grants at 80 % of their life, and failed renewals whose pause is over. Any number
 * of replicas share the work: each takes the next row that nobody has, and none leads. What nobody knows the end of,
 * since its process died or HighLevel's answer was lost, has a lane of its own: it has no more than HighLevel's grace,
 * and must not wait behind a thousand others.
 */
export function startSweep(deps: Deps) {
  const { vault } = deps
  const lanes = [
    createLane((lease) => vault.claimDangling(lease, lease.at - GRACE_MS), deps),
    createLane((lease) => vault.claimDue(lease), deps)
  ]
  const start = () => {
    for (const lane of lanes) lane.start()
  }
  const timer = setInterval(start, EVERY_MS)
  start()

  return {
    /** Takes nothing more. What it has taken goes on. */
    stop(): void {
      for (const lane of lanes) lane.stop()
      clearInterval(timer)
    },
    /** Resolves when what it has taken has ended. */
    async settled(): Promise<void> {
      await Promise.all(lanes.map((lane) => lane.settled()))
    }
  }
}
