import type { Selectable } from 'kysely'
import type { Grant, GrantSummary, IssuedGrant, Tokens } from '../grant.ts'
import { type Cipher, CipherError } from './cipher.ts'
import type { Tables } from './tables.ts'

type GrantRow = Selectable<Tables['grants']>

/** What a ciphertext is bound to: one that is moved to another row does not open. */
export const identity = (subject: string) => `grants:${subject}`

export const summaryOf = (row: Omit<GrantRow, 'sealed' | 'key_id' | 'event_at' | 'install_id'>): GrantSummary => ({
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

export function grantOf(cipher: Cipher, row: GrantRow): Grant {
  const { expiresAt: _, ...rest } = summaryOf(row)
  if (row.sealed === null) return { ...rest, tokens: null }
  try {
    // What opens was sealed by this code: the authentication tag vouches for its shape.
    return { ...rest, tokens: JSON.parse(cipher.open(row.sealed, identity(row.subject))) as Tokens }
  } catch (error) {
    // A key that this process lacks is a fault of its configuration, and ends nothing.
    if (!(error instanceof CipherError && error.kind === 'damaged')) throw error
    // Nobody can open it again, and a new install is what mends it.
    return { ...rest, tokens: null, state: 'reconnect-required', stateReason: error.message }
  }
}

/** The columns that a save decides: a connected grant, with no lease, no intent and no failure. */
export const issuedRow = (cipher: Cipher, fruit: IssuedGrant) => ({
  kind: fruit.kind,
  company_id: fruit.companyId,
  sealed: fruit.tokens && cipher.seal(JSON.stringify(fruit.tokens), identity(fruit.subject)),
  key_id: fruit.tokens && cipher.sealingKeyId,
  expires_at: fruit.tokens?.expiresAt ?? null,
  scopes: fruit.scopes,
  state: 'connected' as const,
  state_since: fruit.stateSince,
  state_reason: null,
  proven: fruit.verified ? 1 : 0,
  failures: 0,
  tried_at: null,
  due_at: fruit.dueAt,
  uninstall_reported_at: null,
  ...unclaimed
})

/** Nobody renews the grant. */
export const unclaimed = { intent_at: null, prior_intent_at: null, lease_owner: null, lease_until: null }
