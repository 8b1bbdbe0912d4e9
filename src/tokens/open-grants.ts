import { setTimeout as sleep } from 'node:timers/promises'
import type { BaseLogger } from 'pino'
import { createGrantSaves } from './grant-saves.ts'
import { createIssue } from './issue.ts'
import { createLeases } from './leases.ts'
import { createLocationTokens } from './location-tokens.ts'
import type { OAuthApi } from './oauth-api.ts'
import { createRecovery } from './recovery.ts'
import { createRenewal } from './renewal.ts'
import { createSetbacks, type RenewalResult } from './setbacks.ts'
import { startSweep } from './sweep.ts'
import type { Grant, Vault } from './vault.ts'

/** How often the log says that the end of the process waits for the store. */
const REMIND_MS = 5_000

interface Deps {
  vault: Vault
  /** Absent where the gateway has no client credentials: then nothing is renewed. */
  oauth: OAuthApi | undefined
  now: () => number
  log: BaseLogger
  count: (result: RenewalResult) => void
}

/** Everything that keeps grants alive, put together. The sweep runs from here on. */
export function openGrants({ vault, oauth, now, log, count }: Deps) {
  const ending = new AbortController()
  const saves = createGrantSaves(vault, log)
  const leases = createLeases({ vault, now, log })
  const issue = createIssue({ saves, oauth, recover: createRecovery({ saves, now, ending: ending.signal }), now })
  const setbacks = createSetbacks({ vault, saves, now, log, count })
  const renewed = (grant: Grant) => tokens.remember(grant)
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
  const tokens = createLocationTokens({ vault, saves, renew: renewal.renew, now, log })
  const sweep = oauth && startSweep({ vault, leases, renewClaimed: renewal.renewClaimed, log })

  return {
    saves,
    tokens,

    /** Sweeps no more. */
    stop: () => sweep?.stop(),

    /**
     * Begins no renewal more, and resolves when those under way have ended, or after `withinMs`. What HighLevel has not
     * answered by then is to be cut off: another process asks again with the same token, within HighLevel's grace.
     */
    async settle(withinMs: number): Promise<void> {
      ending.abort()
      const expiry = new AbortController()
      const patience = sleep(withinMs, undefined, { signal: expiry.signal }).catch(() => undefined)
      await Promise.race([renewal.settled(), patience])
      expiry.abort()
    },

    /** Resolves when all renewals have ended and nothing is in memory alone any more, however long the store takes. */
    async drain(): Promise<void> {
      await renewal.settled()
      const remind = () => log.warn({ subjects: saves.unsaved() }, 'the end waits until the store takes unsaved grants')
      const timer = setInterval(remind, REMIND_MS)
      await saves.drain()
      clearInterval(timer)
    }
  }
}
