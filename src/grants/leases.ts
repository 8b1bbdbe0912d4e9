import { randomUUID } from 'node:crypto'
import type { BaseLogger } from 'pino'
import type { Lease, Subject } from './grant.ts'
import type { GrantStore } from './vault/vault.ts'

/** Short, so that other processes soon notice a dead owner. A living owner extends it, however long HighLevel takes. */
export const LEASE_MS = 8_000
const HEARTBEAT_MS = 2_000

interface Deps {
  vault: Pick<GrantStore, 'extendLease'>
  now: () => number
  log: BaseLogger
}

/** The leases of this process. Each lease has its own owner id, so that not even this process can confuse two of them. */
export function createLeases({ vault, now, log }: Deps) {
  const processId = randomUUID()
  let count = 0

  const extend = async (subject: Subject, owner: string): Promise<void> => {
    try {
      if (!(await vault.extendLease(subject, owner, now() + LEASE_MS))) log.debug({ subject }, 'a lease has ended')
    } catch (err) {
      log.warn({ subject, err }, 'a lease could not be extended')
    }
  }

  return {
    /** A new lease, to claim a grant with. */
    create(): Lease {
      count += 1
      return { owner: `${processId}.${count}`, at: now(), until: now() + LEASE_MS }
    },

    /** Extends a lease with which a grant was claimed, until the returned function is called. */
    keepAlive(subject: Subject, { owner }: Lease): () => void {
      const timer = setInterval(() => void extend(subject, owner), HEARTBEAT_MS)
      return () => clearInterval(timer)
    }
  }
}

export type Leases = ReturnType<typeof createLeases>
