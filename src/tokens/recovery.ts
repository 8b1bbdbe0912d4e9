import { setTimeout as sleep } from 'node:timers/promises'
import { Problem } from '../problems.ts'
import type { Grant, Lease } from './grant.ts'
import type { GrantSaves } from './grant-saves.ts'
import type { Renewed } from './issue.ts'
import { GRACE_MS } from './schedule.ts'
import { TokenRefusal } from './token-refusal.ts'

/** Longer than the pause between two tries of a process that holds a pair and could not save it while the store was away. */
const HOLDERS_TRY_WITHIN_MS = 6_000
const POLL_MS = 200

/**
 * What is left to try after HighLevel called a refresh token spent, in order. Resolves with what one of the ways brought,
 * or with the grant in force where another process has renewed it; rejects with `refusal` where nothing helped.
 */
export type Recover = (
  grant: Grant,
  lease: Lease,
  refusal: TokenRefusal,
  ways: readonly (() => Promise<Renewed>)[]
) => Promise<Renewed | Grant>

interface Deps {
  saves: Pick<GrantSaves, 'load'>
  now: () => number
  /** Aborted when the process ends: what it waits for, another one can wait for. */
  ending: AbortSignal
}

/** When somebody else last asked, who may hold the new pair and be about to save it. */
const othersAskedAt = (row: Grant, lease: Lease): number | null =>
  row.leaseOwner === lease.owner ? row.priorIntentAt : (row.intentAt ?? row.priorIntentAt)

export function createRecovery({ saves, now, ending }: Deps): Recover {
  /** Reads the row again, for as long as another process may be about to save. `undefined`: nobody has renewed the grant. */
  const renewedElsewhere = async (claimed: Grant, lease: Lease): Promise<Grant | undefined> => {
    for (;;) {
      const row = await saves.load(claimed.subject)
      if (row === undefined || row.generation !== claimed.generation) return row ?? { ...claimed, tokens: null }
      const askedAt = othersAskedAt(row, lease)
      if (askedAt === null || now() >= Math.max(askedAt + GRACE_MS, lease.at + HOLDERS_TRY_WITHIN_MS)) return undefined
      if (ending.aborted) throw new Problem('shutting-down', 'The process of the gateway ended while it waited')
      await sleep(POLL_MS)
    }
  }

  return async (grant, lease, refusal, ways) => {
    const inForce = await renewedElsewhere(grant, lease)
    if (inForce !== undefined) return inForce
    for (const way of ways) {
      try {
        return await way()
      } catch (error) {
        // What only fails for now must not end the grant: the next attempt comes here again.
        if (!(error instanceof TokenRefusal && error.kind === 'invalid-grant')) throw error
      }
    }
    throw refusal
  }
}
