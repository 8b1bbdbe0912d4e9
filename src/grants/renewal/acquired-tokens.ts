import type { Grant, GrantKind, Subject, Tokens } from '../grant.ts'

/** What HighLevel issued in place of a grant's tokens, and by which way. */
export interface AcquiredTokens {
  kind: GrantKind
  tokens: Tokens
  scopes: string
}

export type Renew = (subject: Subject, refused?: string) => Promise<Grant>
