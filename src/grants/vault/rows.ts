import type { Selectable } from 'kysely'
import type { Grant, GrantSummary, IssuedGrant, Tokens } from '../grant.ts'
import { type Cipher, CipherError } from './cipher.ts'
import type { Tables } from './tables.ts'

type GrantRow = Selectable<Tables['grants']>

/** What a row's sealed tokens are bound to: copied to another row, they do not open. */
export const associatedData = (subject: string) => `grants:${subject}`

export const toSummary = (row: Omit<GrantRow, 'sealed' | 'key_id' | 'event_at' | 'install_id'>): GrantSummary => ({
  subject: row.subject,
  kind: row.kind,
  companyId: row.company_id,
  generation: row.generation,
  scopes: row.scopes,
  state: row.state,
  stateSince: row.state_since,
  stateReason: row.state_reason,
  expiresAt: row.expires_at,
  verified: row.proven === 1,
  failures: row.failures,
  triedAt: row.tried_at,
  dueAt: row.due_at,
  intentAt: row.intent_at,
  priorIntentAt: row.prior_intent_at,
  leaseUntil: row.lease_until,
  leaseOwner: row.lease_owner,
  uninstallReportedAt: row.uninstall_reported_at
})

export function toGrant(cipher: Cipher, row: GrantRow): Grant {
  const { expiresAt: _, ...rest } = toSummary(row)
  if (row.sealed === null) return { ...rest, tokens: null }
  try {
    // The cast is safe: the authentication tag proves that this code sealed the value.
    return { ...rest, tokens: JSON.parse(cipher.open(row.sealed, associatedData(row.subject))) as Tokens }
  } catch (error) {
    // A key that this process lacks is a configuration error and must not end the grant.
    if (!(error instanceof CipherError && error.kind === 'damaged')) throw error
    // Damaged tokens are lost for good: only a new install helps.
    return { ...rest, tokens: null, state: 'reconnect-required', stateReason: error.message }
  }
}

/** The columns that a save sets: a connected grant without lease, intent or failures. */
export const issuedColumns = (cipher: Cipher, issued: IssuedGrant) => ({
  kind: issued.kind,
  company_id: issued.companyId,
  sealed: issued.tokens && cipher.seal(JSON.stringify(issued.tokens), associatedData(issued.subject)),
  key_id: issued.tokens && cipher.sealingKeyId,
  expires_at: issued.tokens?.expiresAt ?? null,
  scopes: issued.scopes,
  state: 'connected' as const,
  state_since: issued.stateSince,
  state_reason: null,
  proven: issued.verified ? 1 : 0,
  failures: 0,
  tried_at: null,
  due_at: issued.dueAt,
  uninstall_reported_at: null,
  ...noLease
})

/** No renewal is running, and none has an unknown outcome. */
export const noLease = { intent_at: null, prior_intent_at: null, lease_owner: null, lease_until: null }
