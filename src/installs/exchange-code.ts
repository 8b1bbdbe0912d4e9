import { setTimeout as sleep } from 'node:timers/promises'
import type { BaseLogger } from 'pino'
import type { GrantSummary } from '../grants/grant.ts'
import type { Issued, OAuthClient } from '../grants/oauth/oauth-client.ts'
import { TokenRefusal } from '../grants/oauth/token-refusal.ts'
import type { Vault } from '../grants/vault/vault.ts'
import { Problem } from '../problems/problem.ts'

/** Another process that exchanges the same code has stored what it brought by then. */
const STORED_WITHIN_MS = 2_000
const POLL_MS = 200

interface Deps {
  oauth: Pick<OAuthClient, 'exchangeCode'>
  /** `assertWritable` is called before the code is spent, so that the code is still valid when the store is back. */
  vault: Pick<Vault, 'findInstall' | 'assertWritable'>
  log: BaseLogger
}

/** Spends the code of an install once. */
export function createExchangeCode({ oauth, vault, log }: Deps) {
  /** What this code has led to already. Where it has not, the store is known to take what it will bring. */
  const earlier = async (id: string): Promise<GrantSummary | undefined> => {
    try {
      const found = await vault.findInstall(id)
      if (found === undefined) await vault.assertWritable()
      return found
    } catch (cause) {
      throw new Problem('vault-unavailable', 'The connection cannot be stored now: open this page again in a minute', {
        retryAfterSeconds: 5,
        cause
      })
    }
  }

  const spend = async (code: string): Promise<Issued> => {
    try {
      return await oauth.exchangeCode(code)
    } catch (cause) {
      if (!(cause instanceof TokenRefusal)) throw cause
      log.warn({ err: cause }, 'an install could not be finished')
      if (cause.kind === 'invalid-grant')
        throw new Problem(
          'invalid-request',
          'HighLevel does not know this code: it counts once and for a short time. What is connected already stays so',
          { cause }
        )
      throw new Problem(
        'upstream-unavailable',
        'HighLevel refused to finish the install: an operator finds why in the log',
        { retryAfterSeconds: 60, cause }
      )
    }
  }

  /** HighLevel does not know the code any more: another process may be about to store what it brought. */
  const storedElsewhere = async (id: string, problem: unknown): Promise<GrantSummary> => {
    if (!(problem instanceof Problem && problem.code === 'invalid-request')) throw problem
    for (const endsAt = performance.now() + STORED_WITHIN_MS; performance.now() < endsAt; await sleep(POLL_MS)) {
      const found = await vault.findInstall(id).catch(() => undefined)
      if (found !== undefined) return found
    }
    throw problem
  }

  /**
   * What HighLevel issues for the code; where the install `id` was stored before, its grant, and HighLevel is not asked: a
   * code that is presented twice may end what it brought (RFC 6749, section 4.1.2). Rejects with a Problem.
   */
  return async (id: string, code: string): Promise<Issued | GrantSummary> =>
    (await earlier(id)) ?? (await spend(code).catch((problem: unknown) => storedElsewhere(id, problem)))
}

export type ExchangeCode = ReturnType<typeof createExchangeCode>
