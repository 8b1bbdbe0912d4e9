import { Problem } from '../../problems/problem.ts'
import type { Clock } from '../../shared/clock.ts'
import type { AcquiredTokens, Grant, Lease } from '../grant.ts'
import { mayEndGrant, type TokenRefusal, toInvalidGrant } from '../oauth/token-refusal.ts'
import type { PendingSaves } from '../pending-saves.ts'
import { GRACE_MS } from './schedule.ts'

/** Once the vault is back, a process with a pending save retries it within this time. Longer than its longest pause. */
export const PENDING_SAVES_RETRY_WITHIN_MS = 6_000
const POLL_MS = 200

/** The pause between refreshes with a refresh token that HighLevel refused in unknown words. */
const REPEAT_EVERY_MS = 4_000

/** A refresh that HighLevel refused in words that end a grant, or may end it. */
interface RefusedRefresh {
  /** The grant as it was claimed. */
  grant: Grant
  lease: Lease
  refusal: TokenRefusal
  /** Repeats the refresh with the same refresh token; `undefined` if there is none. */
  repeat: (() => Promise<AcquiredTokens>) | undefined
  /** Other ways to get tokens, in the order in which to try them. */
  fallbacks: readonly (() => Promise<AcquiredTokens>)[]
}

/**
 * Resolves with the tokens from the repeated refresh or a fallback, or with the current grant if another process has
 * renewed it. Rejects with a TokenRefusal of kind `invalid-grant` if all of them are refused. Any other error of theirs
 * is passed on.
 */
export type Recover = (refused: RefusedRefresh) => Promise<AcquiredTokens | Grant>

interface Deps {
  saves: Pick<PendingSaves, 'load'>
  clock: Clock
  /** Aborted when the process shuts down: another process can do the waiting. */
  ending: AbortSignal
}

/** When another process last asked HighLevel: it may hold the new tokens and be about to save them. */
const othersAskedAt = (stored: Grant, lease: Lease): number | null =>
  stored.leaseOwner === lease.owner ? stored.priorIntentAt : (stored.intentAt ?? stored.priorIntentAt)

export function createRecovery({ saves, clock, ending }: Deps): Recover {
  /** Returns a check whether the wait is over, by either clock: the wall clock may be set back during the wait. */
  const waitUntil = (at: number, longestMs: number) => {
    const startedAt = clock.monotonic()
    return () => clock.now() >= at || clock.monotonic() - startedAt >= longestMs
  }

  const pause = async (): Promise<void> => {
    if (ending.aborted) throw new Problem('shutting-down', 'The gateway process shut down during a renewal')
    await clock.sleep(POLL_MS)
  }

  /**
   * Reads the grant again for as long as another process may be about to save it. `undefined`: no process has
   * renewed it. If its row is gone, resolves with the grant without tokens.
   */
  const waitForOthers = async (claimed: Grant, lease: Lease): Promise<Grant | undefined> => {
    const haveOthersRetried = waitUntil(lease.at + PENDING_SAVES_RETRY_WITHIN_MS, PENDING_SAVES_RETRY_WITHIN_MS)
    const isTooLong = waitUntil(Number.POSITIVE_INFINITY, GRACE_MS + PENDING_SAVES_RETRY_WITHIN_MS)
    for (;;) {
      const stored = await saves.load(claimed.subject)
      if (stored === undefined || stored.generation !== claimed.generation)
        return stored ?? { ...claimed, tokens: null }
      const askedAt = othersAskedAt(stored, lease)
      if (askedAt === null || isTooLong() || (clock.now() >= askedAt + GRACE_MS && haveOthersRetried()))
        return undefined
      await pause()
    }
  }

  /** A refusal in unknown words may be temporary: repeats the refresh within the grace. Resolves with the last refusal. */
  const repeatUnrecognized = async (
    first: TokenRefusal,
    repeat: () => Promise<AcquiredTokens>
  ): Promise<AcquiredTokens | TokenRefusal> => {
    const isGraceOver = waitUntil(clock.now() + GRACE_MS, GRACE_MS)
    let refusal = first
    while (refusal.kind === 'unrecognized' && !isGraceOver()) {
      const isDue = waitUntil(clock.now() + REPEAT_EVERY_MS, REPEAT_EVERY_MS)
      while (!isDue()) await pause()
      try {
        return await repeat()
      } catch (error) {
        if (!mayEndGrant(error)) throw error
        refusal = error
      }
    }
    return refusal
  }

  return async ({ grant, lease, refusal, repeat, fallbacks }) => {
    const renewedByOthers = await waitForOthers(grant, lease)
    if (renewedByOthers !== undefined) return renewedByOthers
    const result = repeat === undefined ? refusal : await repeatUnrecognized(refusal, repeat)
    if (!(result instanceof Error)) return result
    for (const fallback of fallbacks) {
      try {
        return await fallback()
      } catch (error) {
        // A temporary failure must not end the grant: the next renewal tries the fallbacks again.
        if (!mayEndGrant(error)) throw error
      }
    }
    throw toInvalidGrant(result)
  }
}
