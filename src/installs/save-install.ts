import type { Grant, Subject } from '../grants/grant.ts'
import type { Leases } from '../grants/leases.ts'
import type { TokenResponse } from '../grants/oauth/oauth-client.ts'
import type { PendingSaves, SaveResult } from '../grants/pending-saves.ts'
import { PENDING_SAVES_RETRY_WITHIN_MS } from '../grants/renewal/recovery.ts'
import { GRACE_MS, renewAt } from '../grants/renewal/schedule.ts'
import type { Vault } from '../grants/vault/vault.ts'
import type { Clock } from '../shared/clock.ts'

/** How long an install waits for a renewal in progress. If the renewal takes longer, the grant is left as it is. */
const WAIT_MS = 10_000
const POLL_MS = 100

/** One exchanged authorization code: the id of its install, the subject of the tokens, and the tokens. */
export interface ExchangedCode {
  installId: string
  subject: Subject
  companyId: string | null
  issued: TokenResponse
}

/**
 * What renews the grant after the install. `new-token`: the refresh token that HighLevel just issued. `kept-token`:
 * HighLevel issued none, and the previous one is kept. `unchanged`: HighLevel issued none, and the current grant is left
 * as it was. `none`: there is only an access token.
 */
export type RenewedBy = 'new-token' | 'kept-token' | 'unchanged' | 'none'

interface Deps {
  saves: Pick<PendingSaves, 'load' | 'install'>
  leases: Pick<Leases, 'create'>
  vault: Pick<Vault, 'claimGrant'>
  clock: Clock
}

/** Whether HighLevel may still accept the grant's refresh token, and the grant belongs to the same company. */
const isWorthKeeping = (current: Grant | undefined, companyId: string | null): current is Grant =>
  current?.kind === 'oauth' &&
  current.tokens?.refreshToken !== undefined &&
  current.state !== 'reconnect-required' &&
  current.state !== 'uninstalled' &&
  (companyId === null || current.companyId === null || current.companyId === companyId)

/** Saves what an install brought. By then its code is spent, and the tokens exist nowhere else. */
export function createSaveInstall({ saves, leases, vault, clock }: Deps) {
  /** With `after`, the refresh tokens of `current` are kept, and the save counts only while it has that generation. */
  const save = (
    { installId, subject, companyId, issued }: ExchangedCode,
    current: Grant | undefined,
    after?: number
  ) => {
    const { refreshToken, previousRefreshToken } = (after !== undefined && current?.tokens) || {}
    const tokens = {
      ...(refreshToken !== undefined && { refreshToken }),
      ...(previousRefreshToken !== undefined && { previousRefreshToken }),
      ...issued.tokens
    }
    const stateSince = clock.now()
    const issuedGrant = {
      subject,
      kind: 'oauth',
      companyId: companyId ?? current?.companyId ?? null,
      tokens,
      scopes: issued.scope ?? current?.scopes ?? '',
      stateSince,
      verified: true,
      dueAt: renewAt(tokens)
    } as const
    return saves.install(issuedGrant, stateSince, installId, after)
  }

  const isRecent = (at: number | null) => at !== null && Math.abs(clock.now() - at) < GRACE_MS + WAIT_MS

  /**
   * Whether another process may be about to save the successor of the current refresh token, which must not be
   * overwritten. While renewals fail, the row may show an old intent of unknown outcome for a long time. Such an intent
   * counts until a process with a pending save has had the time to retry it.
   */
  const isBeingRenewed = ({ intentAt, priorIntentAt }: Grant, waitedMs: number): boolean =>
    isRecent(intentAt) || isRecent(priorIntentAt) || (intentAt !== null && waitedMs < PENDING_SAVES_RETRY_WITHIN_MS)

  /**
   * Saves the new access token together with the current refresh token, under a lease. `undefined`: there is no refresh
   * token worth keeping. `busy`: others were renewing the grant all the time.
   */
  const mergeWithCurrent = async (exchanged: ExchangedCode): Promise<SaveResult | 'busy' | undefined> => {
    const { subject, companyId, issued } = exchanged
    const startedAt = clock.monotonic()
    for (let waitedMs = 0; waitedMs < WAIT_MS; waitedMs = clock.monotonic() - startedAt) {
      if (waitedMs > 0) await clock.sleep(POLL_MS)
      const current = await saves.load(subject)
      if (!isWorthKeeping(current, companyId)) return undefined
      if (isBeingRenewed(current, waitedMs)) continue
      const claimed = await vault.claimGrant(subject, current.generation, leases.create())
      const lastIntentAt = current.intentAt ?? current.priorIntentAt
      if (!isWorthKeeping(claimed, companyId) || claimed.priorIntentAt !== lastIntentAt) continue
      const result = await save(exchanged, claimed, claimed.generation)
      if (result.grant?.tokens?.accessToken === issued.tokens.accessToken) return result
    }
    return 'busy'
  }

  /** `saved` resolves once the vault has the grant: until then it may be held in memory alone. */
  return async (exchanged: ExchangedCode): Promise<{ renewedBy: RenewedBy; saved: Promise<void> }> => {
    const { subject, issued } = exchanged
    if (issued.tokens.refreshToken !== undefined) {
      // Scopes and company that the answer omits stay as they were. If those cannot be read, the tokens are saved anyway.
      const isComplete = issued.scope !== undefined && exchanged.companyId !== null
      const current = isComplete ? undefined : await saves.load(subject).catch(() => undefined)
      return { renewedBy: 'new-token', saved: (await save(exchanged, current)).saved }
    }
    const current = await saves.load(subject)
    if (current?.kind === 'private' && current.state === 'connected')
      return { renewedBy: 'unchanged', saved: Promise.resolve() }
    const merged = await mergeWithCurrent(exchanged)
    if (merged === 'busy') return { renewedBy: 'unchanged', saved: Promise.resolve() }
    if (merged !== undefined) return { renewedBy: 'kept-token', saved: merged.saved }
    return { renewedBy: 'none', saved: (await save(exchanged, current)).saved }
  }
}

export type SaveInstall = ReturnType<typeof createSaveInstall>
