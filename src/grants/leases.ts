import { randomUUID } from 'node:crypto'
import type { BaseLogger } from 'pino'
import type { Clock } from '../shared/clock.ts'
import type { Lease, Subject } from './grant.ts'
import type { GrantStore } from './vault/vault.ts'

/** Short, so that other processes soon notice a dead owner. A living owner extends it, however long HighLevel takes. */
export const LEASE_MS = 8_000
const HEARTBEAT_MS = 2_000

interface Deps {
  vault: Pick<GrantStore, 'extendLease'>
  clock: Clock
  log: BaseLogger
}

/** The leases of this process. Each lease has its own owner id, so that not even this process can confuse two of them. */
export function createLeases({ vault, clock, log }: Deps) {
  const processId = randomUUID()
  let count = 0

  const extend = async (subject: Subject, owner: string): Promise<void> => {
    try {
      if (!(await vault.extendLease(subject, owner, clock.now() + LEASE_MS)))
        log.debug({ subject }, 'a lease has ended')
    } catch (err) {
      log.warn({ subject, err }, 'a lease could not be extended')
    }
  }

  return {
    /** A new lease, to claim a grant with. */
    create(): Lease {
      count += 1
      return { owner: `${processId}.${count}`, at: clock.now(), until: clock.now() + LEASE_MS }
    },

    /** Extends a lease with which a grant was claimed, until the returned function is called. */
    keepAlive(subject: Subject, { owner }: Lease): () => void {
      const timer = clock.every(HEARTBEAT_MS, () => void extend(subject, owner))
      return () => clock.cancel(timer)
    }
  }
}

export type Leases = ReturnType<typeof createLeases>
