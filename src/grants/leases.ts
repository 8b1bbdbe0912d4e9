import { randomUUID } from 'node:crypto'
import type { BaseLogger } from 'pino'
import type { Lease, Subject } from './grant.ts'
import type { GrantStore } from './vault/vault.ts'

/** Short, so that a dead holder is noticed soon, and extended while its holder lives, however long HighLevel takes. */
export const LEASE_MS = 8_000
const BEAT_MS = 2_000

interface Deps {
  vault: Pick<GrantStore, 'extendLease'>
  now: () => number
  log: BaseLogger
}

/** The leases of this process. Each has an owner of its own: not even this process mistakes one for another. */
export function createLeases({ vault, now, log }: Deps) {
  const processId = randomUUID()
  let count = 0

  const beat = async (subject: Subject, owner: string): Promise<void> => {
    try {
      if (!(await vault.extendLease(subject, owner, now() + LEASE_MS))) log.debug({ subject }, 'a lease has ended')
    } catch (err) {
      log.warn({ subject, err }, 'a lease could not be extended')
    }
  }

  return {
    /** A lease to claim a grant with. */
    create(): Lease {
      count += 1
      return { owner: `${processId}.${count}`, at: now(), until: now() + LEASE_MS }
    },

    /** Keeps a lease that was obtained from running out, until the function that is returned is called. */
    keepAlive(subject: Subject, { owner }: Lease): () => void {
      const timer = setInterval(() => void beat(subject, owner), BEAT_MS)
      return () => clearInterval(timer)
    }
  }
}

export type Leases = ReturnType<typeof createLeases>
