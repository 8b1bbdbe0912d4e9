import type { Grant, GrantKind, Subject, Tokens } from '../grant.ts'

/** New tokens of a grant. `kind` tells how they were obtained: by a refresh or by a mint. */
export interface AcquiredTokens {
  kind: GrantKind
  tokens: Tokens
  scopes: string
}

/**
 * Resolves with a grant whose access token is usable: renewed here, by another process or by a new install. `refused` is
 * an access token that HighLevel refused before it expired. The grant may still hold that one if a new token would not
 * help. Rejects with a Problem.
 */
export type Renew = (subject: Subject, refused?: string) => Promise<Grant>
