import { setTimeout as sleep } from 'node:timers/promises'
import { Problem } from '../../problems/problem.ts'
import type { Grant, Lease } from '../grant.ts'
import { mayEndGrant, type TokenRefusal, toInvalidGrant } from '../oauth/token-refusal.ts'
import type { PendingSaves } from '../pending-saves.ts'
import type { AcquiredTokens } from './acquired-tokens.ts'
import { GRACE_MS } from './schedule.ts'

/** Longer than the pause between two tries of a process that holds a pair and could not save it while the store was away. */
export const PENDING_SAVES_RETRY_WITHIN_MS = 6_000
const POLL_MS = 200

/** Between two asks with a refresh token that was refused in words that are not known. */
const ASK_EVERY_MS = 4_000

/** A refresh that HighLevel refused in words that end a grant, or may. */
export interface Refused {
  /** As it was claimed. */
  grant: Grant
  lease: Lease
  refusal: TokenRefusal
  /** Asks with the same refresh token; `undefined` where there is none. */
  again: (() => Promise<AcquiredTokens>) | undefined
  /** Other ways to tokens, in the order in which they are tried. */
  ways: readonly (() => Promise<AcquiredTokens>)[]
}

/**
 * Resolves with what one of the ways brought, or with the grant in force where another process has renewed it. Rejects
 * with a TokenRefusal of `invalid-grant` where nothing helped, and with whatever else one of the ways rejects with.
 */
export type Recover = (refused: Refused) => Promise<AcquiredTokens | Grant>

interface Deps {
  saves: Pick<PendingSaves, 'load'>
  now: () => number
  /** Aborted when the process ends: what it waits for, another one can wait for. */
  ending: AbortSignal
}

/** When somebody else last asked, who may hold the new pair and be about to save it. */
const othersAskedAt = (row: Grant, lease: Lease): number | null =>
  row.leaseOwner === lease.owner ? row.priorIntentAt : (row.intentAt ?? row.priorIntentAt)

export function createRecovery({ saves, now, ending }: Deps): Recover {
  /** Says whether a wait is over, by either clock: the one on the wall may be set back meanwhile. */
  const waitUntil = (at: number, longestMs: number) => {
    const startedAt = performance.now()
    return () => now() >= at || performance.now() - startedAt >= longestMs
  }

  const pause = async (): Promise<void> => {
    if (ending.aborted) throw new Problem('shutting-down', 'The process of the gateway ended while it waited')
    await sleep(POLL_MS)
  }

  /** Reads the row again, for as long as another process may be about to save. `undefined`: nobody has renewed the grant. */
  const renewedElsewhere = async (claimed: Grant, lease: Lease): Promise<Grant | undefined> => {
    const holdersTried = waitUntil(lease.at + PENDING_SAVES_RETRY_WITHIN_MS, PENDING_SAVES_RETRY_WITHIN_MS)
    const isLongEnough = waitUntil(Number.POSITIVE_INFINITY, GRACE_MS + PENDING_SAVES_RETRY_WITHIN_MS)
    for (;;) {
      const row = await saves.load(claimed.subject)
      if (row === undefined || row.generation !== claimed.generation) return row ?? { ...claimed, tokens: null }
      const askedAt = othersAskedAt(row, lease)
      if (askedAt === null || isLongEnough() || (now() >= askedAt + GRACE_MS && holdersTried())) return undefined
      await pause()
    }
  }

  /** Words that are not known may pass: asks again for as long as the grace lasts. Resolves with the last refusal. */
  const insist = async (
    first: TokenRefusal,
    again: () => Promise<AcquiredTokens>
  ): Promise<AcquiredTokens | TokenRefusal> => {
    const isOver = waitUntil(now() + GRACE_MS, GRACE_MS)
    let refusal = first
    while (refusal.kind === 'unrecognized' && !isOver()) {
      const isDue = waitUntil(now() + ASK_EVERY_MS, ASK_EVERY_MS)
      while (!isDue()) await pause()
      try {
        return await again()
      } catch (error) {
        if (!mayEndGrant(error)) throw error
        refusal = error
      }
    }
    return refusal
  }

  return async ({ grant, lease, refusal, again, ways }) => {
    const inForce = await renewedElsewhere(grant, lease)
    if (inForce !== undefined) return inForce
    const last = again === undefined ? refusal : await insist(refusal, again)
    if (!(last instanceof Error)) return last
    for (const way of ways) {
      try {
        return await way()
      } catch (error) {
        // What only fails for now must not end the grant: the next attempt comes here again.
        if (!mayEndGrant(error)) throw error
      }
    }
    throw toInvalidGrant(last)
  }
}
