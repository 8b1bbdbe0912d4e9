import type { BaseLogger } from 'pino'
import { waitAtMost } from '../shared/timeout.ts'
import { createAccessTokens } from './access-tokens.ts'
import type { Grant } from './grant.ts'
import { createLeases } from './leases.ts'
import type { OAuthClient } from './oauth/oauth-client.ts'
import { createPendingSaves } from './pending-saves.ts'
import { COMPANY_REASONS, createAcquireTokens } from './renewal/acquire-tokens.ts'
import { createBackgroundRetries } from './renewal/background-retries.ts'
import { createFailures, type RenewalResult } from './renewal/failures.ts'
import { createRecovery } from './renewal/recovery.ts'
import { createRenewal } from './renewal/renew.ts'
import { startRenewalWorker } from './renewal/worker.ts'
import type { Vault } from './vault/vault.ts'

const COMPANY = 'company:'

/** How often the log says that the end of the process waits for the store. */
const REMIND_MS = 5_000

interface Deps {
  vault: Vault
  /** Absent where the gateway has no client credentials: then nothing is renewed. */
  oauth: OAuthClient | undefined
  now: () => number
  log: BaseLogger
  count: (result: RenewalResult) => void
}

/** Everything that keeps grants alive, put together. The sweep runs from here on. */
export function openGrants({ vault, oauth, now, log, count }: Deps) {
  const ending = new AbortController()
  const saves = createPendingSaves(vault, log)
  const followUps = createBackgroundRetries({ log, ending: ending.signal })
  const leases = createLeases({ vault, now, log })
  const issue = createAcquireTokens({
    vault,
    saves,
    oauth,
    recover: createRecovery({ saves, now, ending: ending.signal }),
    now
  })
  const setbacks = createFailures({ vault, saves, now, log, count })
  const renewed = (grant: Grant, saved: Promise<void>): void => {
    tokens.remember(grant)
    if (!grant.subject.startsWith(COMPANY)) return
    const companyId = grant.subject.slice(COMPANY.length)
    // While the new tokens were in memory alone another process may have given the company up, and its locations with it.
    followUps.start('the locations of a company wait for it', async () => {
      await saved
      await vault.rescheduleCompany(companyId, now(), COMPANY_REASONS)
    })
  }
  const renewal = createRenewal({
    vault,
    saves,
    leases,
    issue,
    setbacks,
    now,
    log,
    ending: ending.signal,
    count,
    renewed
  })
  const tokens = createAccessTokens({ vault, saves, renew: renewal.renew, now, log })
  const sweep = oauth && startRenewalWorker({ vault, leases, renewClaimed: renewal.renewClaimed, now, log })

  return {
    saves,
    leases,
    retryInBackground: followUps.start,
    tokens,

    /** Sweeps no more. */
    stop: () => sweep?.stop(),

    /**
     * Begins no renewal more, and resolves when those under way have ended, or after `withinMs`. What HighLevel has not
     * answered by then is to be cut off: another process asks again with the same token, within HighLevel's grace.
     */
    settle(withinMs: number): Promise<void> {
      sweep?.stop()
      ending.abort()
      return waitAtMost(withinMs, async () => {
        await sweep?.settled()
        await renewal.settled()
      })
    },

    /** Resolves when no new tokens are in memory alone any more, however long the store takes. */
    async drain(): Promise<void> {
      const remind = () => log.warn({ subjects: saves.unsaved() }, 'the end waits until the store takes unsaved grants')
      const timer = setInterval(remind, REMIND_MS)
      await saves.drain()
      await followUps.drain()
      clearInterval(timer)
    }
  }
}
