import type { GrantKind, GrantState, Subject } from '../grant.ts'

/** The tables for kysely. Both drivers return `bigint` columns as numbers. Times are epoch milliseconds. */
export interface Tables {
  grants: {
    subject: Subject
    kind: GrantKind
    company_id: string | null
    generation: number
    sealed: string | null
    key_id: string | null
    expires_at: number | null
    scopes: string
    state: GrantState
    state_since: number
    state_reason: string | null
    /** When the latest install or uninstall happened: the event that this row reflects. */
    event_at: number
    /** The id of the code exchange with which this connection began. */
    install_id: string | null
    /** `Grant.verified`, as 1 or 0: SQLite has no booleans. */
    proven: number
    failures: number
    tried_at: number | null
    due_at: number | null
    intent_at: number | null
    prior_intent_at: number | null
    lease_owner: string | null
    lease_until: number | null
    /** When an uninstall without a time was reported. Null once HighLevel has confirmed or disproved it. */
    uninstall_reported_at: number | null
  }
  api_keys: {
    id: string
    name: string
    hash: string
    /** A JSON array of location ids. */
    locations: string
    created_at: number
    revoked_at: number | null
  }
  vault_keys: { id: string; sealed: string }
  webhooks: { id: string; received_at: number }
}
