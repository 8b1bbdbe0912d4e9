import type { BaseLogger } from 'pino'
import type { Grant, Lease } from '../grant.ts'
import type { Leases } from '../leases.ts'
import type { GrantStore } from '../vault/vault.ts'
import { GRACE_MS } from './schedule.ts'

/** Often enough to finish what a dead process began while HighLevel's grace lasts. */
const EVERY_MS = 2_000
const AT_ONCE = 8
/** Many: where HighLevel's token endpoint hangs, each takes most of the grace, and the others must not wait for it. */
const DANGLING_AT_ONCE = 64
/** How often times are looked for that no clock can have written. */
const DISTRUST_EVERY_MS = 10_000

interface Deps {
  vault: Pick<GrantStore, 'claimDue' | 'claimUnknownOutcome' | 'clearFutureTimes'>
  leases: Pick<Leases, 'create'>
  renewClaimed: (grant: Grant, lease: Lease) => Promise<void>
  now: () => number
  log: BaseLogger
}

type Claim = (lease: Lease) => Promise<Grant | undefined>

/** Takes one grant after another, up to `atOnce` at a time, until there is none left. */
function createLane(atOnce: number, claim: Claim, { leases, renewClaimed, log }: Deps) {
  const workers = new Set<Promise<void>>()
  let isStopped = false
  let isFailing = false

  const work = async (): Promise<void> => {
    while (!isStopped) {
      const lease = leases.create()
      const grant = await claim(lease)
      isFailing = false
      if (grant === undefined) return
      // There was one: another worker looks whether there are more.
      start()
      await renewClaimed(grant, lease)
    }
  }

  const start = (): void => {
    if (isStopped || workers.size >= atOnce) return
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
export function startRenewalWorker(deps: Deps) {
  const { vault, now, log } = deps
  const lanes = [
    createLane(DANGLING_AT_ONCE, (lease) => vault.claimUnknownOutcome(lease, lease.at - GRACE_MS), deps),
    createLane(AT_ONCE, (lease) => vault.claimDue(lease), deps)
  ]
  const start = () => {
    for (const lane of lanes) lane.start()
  }
  const distrust = () => {
    vault.clearFutureTimes(now()).catch((err) => log.debug({ err }, 'times in the future could not be looked for'))
  }
  const timers = [setInterval(start, EVERY_MS), setInterval(distrust, DISTRUST_EVERY_MS)]
  distrust()
  start()

  return {
    /** Takes nothing more. What it has taken goes on. */
    stop(): void {
      for (const lane of lanes) lane.stop()
      for (const timer of timers) clearInterval(timer)
    },
    /** Resolves when what it has taken has ended. */
    async settled(): Promise<void> {
      await Promise.all(lanes.map((lane) => lane.settled()))
    }
  }
}
