/** Whose grant it is: one location's, or a company's from which its locations' tokens are minted. */
export type Subject = `location:${string}` | `company:${string}`

/**
 * `oauth`: rotates by its own refresh token. `minted`: made anew from the company's grant. `private`: a private
 * integration token, which never changes.
 */
export type GrantKind = 'oauth' | 'minted' | 'private'

/** `backing-off`: renewals fail and are tried again. What may follow what is in docs/tokens.md. */
export type GrantState = 'connected' | 'backing-off' | 'paused' | 'reconnect-required' | 'uninstalled'

export interface Tokens {
  accessToken: string
  /** Single use. Absent for kinds that do not rotate. */
  refreshToken?: string
  /** The one before it, for the case that HighLevel never came to know of the rotation. */
  previousRefreshToken?: string
  /** Epoch milliseconds; `null` where the token does not expire. */
  expiresAt: number | null
  issuedAt: number
}

export interface Grant {
  subject: Subject
  kind: GrantKind
  companyId: string | null
  /** Grows by one with every change of the tokens, and with nothing else: who holds the fruit of a generation may save it. */
  generation: number
  /** `null` before the first mint and after an uninstall. */
  tokens: Tokens | null
  /** As HighLevel granted them, space-separated. */
  scopes: string
  state: GrantState
  /** Epoch milliseconds. */
  stateSince: number
  stateReason: string | null
  /** False from a renewal that a 401 forced until HighLevel takes the new token: a lasting 401 forces no second one. */
  verified: boolean
  /** Renewals that failed in a row. */
  failures: number
  /** Epoch milliseconds of the last failure; `null` where there was none since the last success. */
  triedAt: number | null
  /** Epoch milliseconds from which a sweep acts on the grant; `null`: not by itself. */
  dueAt: number | null
  /** When HighLevel was last asked for the successor of this generation, where the outcome is not known; else `null`. */
  intentAt: number | null
  /** The same of the ask before: whoever asked then may hold an answer and be about to save it. */
  priorIntentAt: number | null
  /** Until when one process alone may renew the grant. */
  leaseUntil: number | null
  leaseOwner: string | null
  /** When an uninstall was reported that is to be verified with HighLevel; `null` where none was. */
  uninstallReportedAt: number | null
}

/** A grant without its tokens: what lists and logs may show. */
export type GrantSummary = Omit<Grant, 'tokens'> & { expiresAt: number | null }

export interface LocationPage {
  after?: string | undefined
  limit: number
  state?: GrantState | undefined
}

/** The right to renew a grant for a while. It bounds who asks HighLevel, not who may save. */
export interface Lease {
  owner: string
  /** Epoch milliseconds. */
  at: number
  until: number
}

/** What a renewal or an install brings: the parts of a grant that a save decides. */
export type IssuedGrant = Pick<
  Grant,
  'subject' | 'kind' | 'companyId' | 'tokens' | 'scopes' | 'stateSince' | 'verified' | 'dueAt'
>

/** What a failed renewal makes of its grant. */
export type RenewalFailure = Pick<
  Grant,
  'state' | 'stateSince' | 'stateReason' | 'failures' | 'dueAt' | 'triedAt' | 'intentAt'
>

/**
 * One code exchange. `at`: when. `isRepeated`: an earlier try to store it may have been carried out. `after`: it counts
 * only while this generation is held, of which it keeps a part.
 */
export interface Install {
  id: string
  at: number
  isRepeated: boolean
  after?: number | undefined
}
