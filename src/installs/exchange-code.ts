import type { BaseLogger } from 'pino'
import type { GrantSummary } from '../grants/grant.ts'
import type { OAuthClient, TokenResponse } from '../grants/oauth/oauth-client.ts'
import { TokenRefusal } from '../grants/oauth/token-refusal.ts'
import type { Vault } from '../grants/vault/vault.ts'
import { Problem, vaultUnavailable } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'

/** Another process that is exchanging the same code has saved its grant within this time. */
const OTHER_PROCESS_SAVES_WITHIN_MS = 2_000
const POLL_MS = 200

interface Deps {
  oauth: Pick<OAuthClient, 'exchangeCode'>
  /** `assertWritable` is called before the code is spent. If it fails, the code can be used once the vault is back. */
  vault: Pick<Vault, 'findInstall' | 'assertWritable'>
  clock: Clock
  log: BaseLogger
}

/** Exchanges the authorization code of an install, once. */
export function createExchangeCode({ oauth, vault, clock, log }: Deps) {
  /** The grant that this code led to earlier. If there is none, makes sure that the vault can save a new one. */
  const findEarlierGrant = async (installId: string): Promise<GrantSummary | undefined> => {
    try {
      const earlier = await vault.findInstall(installId)
      if (earlier === undefined) await vault.assertWritable()
      return earlier
    } catch (cause) {
      throw vaultUnavailable('The connection cannot be saved now: open this page again in a minute', cause)
    }
  }

  const exchange = async (code: string): Promise<TokenResponse> => {
    try {
      return await oauth.exchangeCode(code)
    } catch (cause) {
      if (!(cause instanceof TokenRefusal)) throw cause
      log.warn({ err: cause }, 'HighLevel refused the authorization code of an install')
      if (cause.kind === 'invalid-grant')
        throw new Problem(
          'invalid-request',
          'HighLevel does not accept this code: a code works once and for a short time. Existing connections are kept',
          { cause }
        )
      throw new Problem(
        'upstream-unavailable',
        'HighLevel refused to finish the install: the reason is in the gateway’s log',
        { retryAfterSeconds: 60, cause }
      )
    }
  }

  /** When HighLevel no longer accepts the code, another process may have exchanged it and be about to save its grant. */
  const waitForOtherProcess = async (installId: string, problem: unknown): Promise<GrantSummary> => {
    if (!(problem instanceof Problem && problem.code === 'invalid-request')) throw problem
    const endsAt = clock.monotonic() + OTHER_PROCESS_SAVES_WITHIN_MS
    for (; clock.monotonic() < endsAt; await clock.sleep(POLL_MS)) {
      const saved = await vault.findInstall(installId).catch(() => undefined)
      if (saved !== undefined) return saved
    }
    throw problem
  }

  /**
   * Resolves with what HighLevel issues for the code. If the install `installId` was saved before, resolves with its
   * grant and sends nothing: presenting a code twice may revoke the tokens issued for it (RFC 6749, section 4.1.2).
   * Rejects with a Problem.
   */
  return async (installId: string, code: string): Promise<TokenResponse | GrantSummary> =>
    (await findEarlierGrant(installId)) ??
    (await exchange(code).catch((problem: unknown) => waitForOtherProcess(installId, problem)))
}

export type ExchangeCode = ReturnType<typeof createExchangeCode>
