/** Whose grant it is: one location's, or that of a company, from which the tokens of its locations are minted. */
export type Subject = `location:${string}` | `company:${string}`

/**
 * `oauth`: renewed with its own refresh token. `minted`: issued with the token of the company. `private`: a private
 * integration token, which never changes.
 */
export type GrantKind = 'oauth' | 'minted' | 'private'

/** `backing-off`: renewals fail and are tried again. docs/tokens.md has the transitions. */
export type GrantState = 'connected' | 'backing-off' | 'paused' | 'reconnect-required' | 'uninstalled'

export interface Tokens {
  accessToken: string
  /** Single use. Absent for kinds that do not rotate. */
  refreshToken?: string
  /** The refresh token before it. Tried if the current one is refused: HighLevel may have lost the rotation. */
  previousRefreshToken?: string
  /** Epoch milliseconds; `null` if the token does not expire. */
  expiresAt: number | null
  issuedAt: number
}

export interface Grant {
  subject: Subject
  kind: GrantKind
  companyId: string | null
  /** Grows by one with every change of the tokens, and with nothing else. A save names the generation it comes from. */
  generation: number
  /** `null` before the first mint and after an uninstall. */
  tokens: Tokens | null
  /** As HighLevel granted them, space-separated. */
  scopes: string
  state: GrantState
  /** Epoch milliseconds. */
  stateSince: number
  stateReason: string | null
  /**
   * False after a renewal that a 401 forced, until HighLevel accepts the new token. An unverified token that is refused
   * does not force another renewal.
   */
  verified: boolean
  /** Renewals that failed in a row. */
  failures: number
  /** Epoch milliseconds of the last failure; `null` if there was none since the last success. */
  triedAt: number | null
  /** Epoch milliseconds from which the renewal worker acts on the grant; `null`: never. */
  dueAt: number | null
  /** When HighLevel was last asked for the successor of this generation, if the outcome is unknown; else `null`. */
  intentAt: number | null
  /** The intent before `intentAt`: the process that asked then may hold an answer and be about to save it. */
  priorIntentAt: number | null
  /** Until then, only the lease's owner may renew the grant. Epoch milliseconds. */
  leaseUntil: number | null
  leaseOwner: string | null
  /** When an uninstall was reported that is still to be verified with HighLevel; `null` if none was. */
  uninstallReportedAt: number | null
}

/** A grant without its tokens, for lists and logs. */
export type GrantSummary = Omit<Grant, 'tokens'> & { expiresAt: number | null }

/** Whether the grant has an access token that has not expired. Such a token is used, whatever the grant's state. */
export const isUsable = (grant: Grant, now: number): grant is Grant & { tokens: Tokens } =>
  grant.tokens !== null && (grant.tokens.expiresAt === null || now < grant.tokens.expiresAt)

/** Which part of the list of locations to return. */
export interface LocationPage {
  /** The location id after which the page begins. */
  after?: string | undefined
  limit: number
  state?: GrantState | undefined
}

/** The right to renew a grant for a while. It limits who asks HighLevel, not who may save what HighLevel issued. */
export interface Lease {
  owner: string
  /** Epoch milliseconds. */
  at: number
  until: number
}

/** The parts of a grant that a renewal or an install brings. */
export type IssuedGrant = Pick<
  Grant,
  'subject' | 'kind' | 'companyId' | 'tokens' | 'scopes' | 'stateSince' | 'verified' | 'dueAt'
>

/** The parts of a grant that a failed renewal changes. */
export type RenewalFailure = Pick<
  Grant,
  'state' | 'stateSince' | 'stateReason' | 'failures' | 'dueAt' | 'triedAt' | 'intentAt'
>

/** One exchanged authorization code. */
export interface Install {
  id: string
  /** When it was exchanged, in epoch milliseconds. */
  at: number
  /** An earlier try to save this install may have succeeded unnoticed. */
  isRepeated: boolean
  /** The save counts only while the grant has this generation, because it keeps that generation's refresh token. */
  after?: number | undefined
}

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
