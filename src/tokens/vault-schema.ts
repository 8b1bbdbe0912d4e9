import type { GrantKind, GrantState, Subject } from './vault.ts'

/** The tables as kysely sees them. `bigint` columns come back as numbers from every driver in use. */
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
}
