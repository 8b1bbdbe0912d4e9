import type { BaseLogger } from 'pino'
import type { Clock } from '../shared/clock.ts'
import { waitAtMost } from '../shared/timeout.ts'
import { createAccessTokens } from './access-tokens.ts'
import type { Grant } from './grant.ts'
import { createLeases } from './leases.ts'
import type { OAuthClient } from './oauth/oauth-client.ts'
import { createPendingSaves } from './pending-saves.ts'
import { COMPANY_REASONS, createAcquireTokens } from './renewal/acquire-tokens.ts'
import { createBackgroundRetries } from './renewal/background-retries.ts'
import { createFailureHandler, type RenewalResult } from './renewal/failures.ts'
import { createRecovery } from './renewal/recovery.ts'
import { createRenewal } from './renewal/renew.ts'
import { startRenewalWorker } from './renewal/worker.ts'
import type { Vault } from './vault/vault.ts'

const COMPANY = 'company:'

/** How often the log repeats that shutdown waits for unsaved grants. */
const REMIND_EVERY_MS = 5_000

interface Deps {
  vault: Vault
  /** Absent if the gateway has no client credentials. Nothing is renewed then. */
  oauth: OAuthClient | undefined
  clock: Clock
  log: BaseLogger
  count: (result: RenewalResult) => void
}

/** Wires up everything that keeps grants alive, and starts the renewal worker. */
export function openGrants({ vault, oauth, clock, log, count }: Deps) {
  const shutdown = new AbortController()
  const ending = shutdown.signal
  const saves = createPendingSaves(vault, log, clock)
  const retries = createBackgroundRetries({ clock, log, ending })
  const leases = createLeases({ vault, clock, log })
  const recover = createRecovery({ saves, clock, ending })
  const acquireTokens = createAcquireTokens({ vault, saves, oauth, recover, clock })
  const failureHandler = createFailureHandler({ vault, saves, clock, log, count })

  const onRenewed = (grant: Grant, saved: Promise<void>): void => {
    tokens.remember(grant)
    if (!grant.subject.startsWith(COMPANY)) return
    const companyId = grant.subject.slice(COMPANY.length)
    // While only this process had the new tokens, another may have found the company's grant ended, and with it the
    // grants of its locations. Those are tried again.
    retries.start('the locations of a renewed company could not be rescheduled', async () => {
      await saved
      await vault.rescheduleCompany(companyId, clock.now(), COMPANY_REASONS)
    })
  }
  const renewal = createRenewal({
    vault,
    saves,
    leases,
    acquireTokens,
    failureHandler,
    clock,
    log,
    ending,
    count,
    onRenewed
  })
  const tokens = createAccessTokens({ vault, saves, renew: renewal.renew, clock, log })
  const worker = oauth && startRenewalWorker({ vault, leases, renewClaimed: renewal.renewClaimed, clock, log })

  return {
    saves,
    leases,
    retryInBackground: retries.start,
    tokens,

    /** Stops the renewal worker. Renewals in progress go on, and calls can still start renewals. */
    stopWorker: () => worker?.stop(),

    /**
     * Starts no more renewals, and resolves when those in progress have ended, or after `withinMs`. The caller then cuts
     * off what HighLevel has not answered: another process asks again with the same token, within HighLevel's grace.
     */
    finishRenewals(withinMs: number): Promise<void> {
      worker?.stop()
      shutdown.abort()
      return waitAtMost(clock, withinMs, async () => {
        await worker?.settled()
        await renewal.settled()
      })
    },

    /** Resolves when no new tokens are held in memory alone, however long the vault takes to save them. */
    async drain(): Promise<void> {
      const remind = () => log.warn({ subjects: saves.unsaved() }, 'shutdown is waiting for unsaved grants')
      const timer = clock.every(REMIND_EVERY_MS, remind)
      await saves.drain()
      await retries.drain()
      clock.cancel(timer)
    }
  }
}
