import { setTimeout as sleep } from 'node:timers/promises'
import type { Grant, Subject } from '../grants/grant.ts'
import type { Leases } from '../grants/leases.ts'
import type { Issued } from '../grants/oauth/oauth-client.ts'
import type { Kept, PendingSaves } from '../grants/pending-saves.ts'
import { HOLDERS_TRY_WITHIN_MS } from '../grants/renewal/recovery.ts'
import { GRACE_MS, renewAt } from '../grants/renewal/schedule.ts'
import type { Vault } from '../grants/vault/vault.ts'

/** A renewal that is under way ends within this time, or the grant is left as it is. */
const WAIT_MS = 10_000
const POLL_MS = 100

/** One code exchange: its id, whose tokens it brought, and these. */
export interface Exchanged {
  id: string
  subject: Subject
  companyId: string | null
  issued: Issued
}

/**
 * By what the grant is renewed from now on. `own`: by the refresh token that came. `before`: none came, and the one of
 * before is kept. `unchanged`: none came, and what was held stays as it was. `none`: the access token is all there is.
 */
export type RenewedBy = 'own' | 'before' | 'unchanged' | 'none'

interface Deps {
  saves: Pick<PendingSaves, 'load' | 'install'>
  leases: Pick<Leases, 'next'>
  vault: Pick<Vault, 'claimGrant'>
  now: () => number
}

/** Whether HighLevel may still take the refresh token of this grant, and as the same company's. */
const isWorthKeeping = (held: Grant | undefined, companyId: string | null): held is Grant =>
  held?.kind === 'oauth' &&
  held.tokens?.refreshToken !== undefined &&
  held.state !== 'reconnect-required' &&
  held.state !== 'uninstalled' &&
  (companyId === null || held.companyId === null || held.companyId === companyId)

/** Stores what an install brought. The code is spent and the tokens are nowhere else. */
export function createSaveInstall({ saves, leases, vault, now }: Deps) {
  const save = ({ id, subject, companyId, issued }: Exchanged, held: Grant | undefined, after?: number) => {
    const { refreshToken, previousRefreshToken } = (after !== undefined && held?.tokens) || {}
    const tokens = {
      ...(refreshToken !== undefined && { refreshToken }),
      ...(previousRefreshToken !== undefined && { previousRefreshToken }),
      ...issued.tokens
    }
    const stateSince = now()
    const fruit = {
      subject,
      kind: 'oauth',
      companyId: companyId ?? held?.companyId ?? null,
      tokens,
      scopes: issued.scope ?? held?.scopes ?? '',
      stateSince,
      verified: true,
      dueAt: renewAt(tokens)
    } as const
    return saves.install(fruit, stateSince, id, after)
  }

  const isRecent = (at: number | null) => at !== null && Math.abs(now() - at) < GRACE_MS + WAIT_MS

  /**
   * Whoever asked for the successor of the refresh token may be about to save it, and it must not be overwritten. An ask
   * of long ago whose outcome is not known may stand in the row for as long as renewals fail: it counts until a process
   * that could not save has had the time to try again.
   */
  const isBeingRenewed = ({ intentAt, priorIntentAt }: Grant, watchedMs: number): boolean =>
    isRecent(intentAt) || isRecent(priorIntentAt) || (intentAt !== null && watchedMs < HOLDERS_TRY_WITHIN_MS)

  /** Puts the new access token beside the refresh token of before, under a lease. `undefined`: there is none to keep. */
  const merge = async (exchanged: Exchanged): Promise<Kept | 'busy' | undefined> => {
    const { subject, companyId, issued } = exchanged
    const startedAt = performance.now()
    for (let watchedMs = 0; watchedMs < WAIT_MS; watchedMs = performance.now() - startedAt) {
      if (watchedMs > 0) await sleep(POLL_MS)
      const held = await saves.load(subject)
      if (!isWorthKeeping(held, companyId)) return undefined
      if (isBeingRenewed(held, watchedMs)) continue
      const claimed = await vault.claimGrant(subject, held.generation, leases.next())
      const lastIntentAt = held.intentAt ?? held.priorIntentAt
      if (!isWorthKeeping(claimed, companyId) || claimed.priorIntentAt !== lastIntentAt) continue
      const kept = await save(exchanged, claimed, claimed.generation)
      if (kept.grant?.tokens?.accessToken === issued.tokens.accessToken) return kept
    }
    return 'busy'
  }

  return async (exchanged: Exchanged): Promise<{ renewedBy: RenewedBy; saved: Promise<void> }> => {
    const { subject, issued } = exchanged
    if (issued.tokens.refreshToken !== undefined) {
      // What the answer does not say is as it was. Where that cannot be read, the tokens count all the same.
      const isWhole = issued.scope !== undefined && exchanged.companyId !== null
      const held = isWhole ? undefined : await saves.load(subject).catch(() => undefined)
      return { renewedBy: 'own', saved: (await save(exchanged, held)).saved }
    }
    const held = await saves.load(subject)
    if (held?.kind === 'private' && held.state === 'connected')
      return { renewedBy: 'unchanged', saved: Promise.resolve() }
    const kept = await merge(exchanged)
    if (kept === 'busy') return { renewedBy: 'unchanged', saved: Promise.resolve() }
    if (kept !== undefined) return { renewedBy: 'before', saved: kept.saved }
    return { renewedBy: 'none', saved: (await save(exchanged, held)).saved }
  }
}

export type SaveInstall = ReturnType<typeof createSaveInstall>
