import type {
  Grant,
  GrantState,
  GrantSummary,
  Install,
  IssuedGrant,
  Lease,
  LocationPage,
  RenewalFailure,
  Subject
} from '../grant.ts'

export interface ApiKey {
  id: string
  name: string
  /** SHA-256 of the key in hex. The key itself is not stored. */
  hash: string
  /** Location ids, or `*` alone for every location. */
  locations: readonly string[]
  createdAt: number
  revokedAt: number | null
}

/**
 * Stores grants and decides which process may change one. Each change of a grant's tokens is one statement that
 * carries its own condition, so two processes can never both believe that they were first. Times are epoch milliseconds.
 */
export interface GrantStore {
  /**
   * Tokens that no process can open are returned as `null`, with the state `reconnect-required`. Rejects with a
   * CipherError if the tokens are sealed with a key that this process lacks.
   */
  loadGrant(subject: Subject): Promise<Grant | undefined>

  /**
   * Takes the lease and records the intent to renew, if the grant is still at this generation, can be renewed and has no
   * running lease. Otherwise changes nothing and resolves with `undefined`.
   */
  claimGrant(subject: Subject, generation: number, lease: Lease): Promise<Grant | undefined>
  /** Claims the grant that has been due longest, of those that this process can open. `undefined` if none is due. */
  claimDue(lease: Lease): Promise<Grant | undefined>
  /**
   * Claims the due grant whose refresh has had an unknown outcome for longest, among refreshes sent after `since`. Only
   * `oauth` grants: they alone have a refresh token to lose.
   */
  claimUnknownOutcome(lease: Lease, since: number): Promise<Grant | undefined>
  /**
   * Repairs times in the future, left by a clock that ran ahead and was set back: makes due the grants whose renewal
   * failed after `at`, and those with a lease or an intent after it.
   */
  clearFutureTimes(at: number): Promise<void>
  /** Moves the end of a lease. False if this owner does not hold it any more. */
  extendLease(subject: Subject, owner: string, until: number): Promise<boolean>

  /**
   * Saves tokens that were obtained from `generation`, with or without the lease, and ends lease and intent. False if
   * the grant is at another generation by now.
   */
  saveIssued(issued: IssuedGrant, generation: number): Promise<boolean>
  /** Records a failed renewal and ends its lease. False if `owner` has lost the lease or the generation has changed. */
  recordFailure(subject: Subject, generation: number, owner: string, failure: RenewalFailure): Promise<boolean>
  /** HighLevel accepted the token of this generation. */
  markVerified(subject: Subject, generation: number, at: number): Promise<void>
  /** HighLevel refused the private token of this generation. An operator must act, unless it is accepted again. */
  markRefused(subject: Subject, generation: number, at: number): Promise<void>

  /**
   * Replaces the stored grant with the result of an install, once per install. A first attempt always counts as the
   * newest event. A repeated one gives way to an install or uninstall that happened after it.
   */
  installGrant(issued: IssuedGrant, install: Install): Promise<void>
  /**
   * Adds a location whose tokens are minted from its company's grant: at `dueAt`, or with its first call if that is
   * `null`, or once the company is connected if it `waitsForCompany`. A location that has working tokens, or that was
   * uninstalled after `at`, stays unchanged. Resolves with whether it was changed.
   */
  addMintedLocation(
    locationId: string,
    companyId: string,
    at: number,
    when: { dueAt: number | null; waitsForCompany: boolean }
  ): Promise<boolean>
  /** Makes the company's waiting and ended locations due at `at`. `reasons`: only those with one as state reason. */
  rescheduleCompany(companyId: string, at: number, reasons?: readonly string[]): Promise<void>
  /**
   * Deletes the tokens, unless they came from an install after `at`. The row stays, at a new generation, so that a save
   * in progress cannot bring the tokens back. Resolves with whether it was changed.
   */
  markUninstalled(subject: Subject, reason: string, at: number): Promise<boolean>
  /** Records when the app was uninstalled, so that an earlier install that is reported late changes nothing. */
  recordUninstall(subject: Subject, at: number): Promise<void>
  /**
   * Records an uninstall that may have happened before the current tokens were issued. The grant becomes due by
   * `dueAt`, unless that is `null` or an earlier report is still open. Tokens requested after `at` disprove the report.
   */
  reportUninstall(subject: Subject, at: number, dueAt: number | null): Promise<void>
  /**
   * Marks a grant as uninstalled that has a reported uninstall and that HighLevel has ended; for a company, also the
   * grants minted from it. Resolves with whether it did.
   */
  confirmUninstall(subject: Subject, at: number): Promise<boolean>
  /** Like `markUninstalled`, for a company and every grant minted from it. Resolves with how many grants it changed. */
  markCompanyUninstalled(companyId: string, reason: string, at: number): Promise<number>

  /**
   * A grant without its tokens. `reconnect-required` if no process can open the tokens; the stored state if only other
   * processes can.
   */
  findGrant(subject: Subject): Promise<GrantSummary | undefined>
  /** The grant whose connection began with this code exchange. */
  findInstall(id: string): Promise<GrantSummary | undefined>
  /** The ids of the companies from which the app was not uninstalled. */
  listCompanies(): Promise<string[]>
  /** Locations ordered by id, starting after `after`; if `state` is given, only those in it. */
  listLocations(page: LocationPage): Promise<GrantSummary[]>
  /** The number of grants in each state, and the earliest due time, past or future. */
  countGrants(): Promise<{ states: { state: GrantState; count: number }[]; oldestDueAt: number | null }>
  /**
   * Reseals every row with the first vault key, while other processes read and write. `damaged` counts the rows that no
   * key opens.
   */
  rekeyGrants(): Promise<{ resealed: number; damaged: number }>
}

export interface ApiKeyStore {
  findKey(hash: string): Promise<ApiKey | undefined>
  addKey(key: Omit<ApiKey, 'createdAt' | 'revokedAt'>): Promise<void>
  listKeys(): Promise<ApiKey[]>
  /** False if no key has this id. */
  revokeKey(id: string): Promise<boolean>
}

/** Remembers which webhooks were processed, so that none is processed twice. */
export interface WebhookStore {
  hasWebhook(id: string): Promise<boolean>
  /** Records a webhook, and deletes those recorded before `olderThan`. */
  addWebhook(id: string, olderThan: number): Promise<void>
}

/**
 * Stores grants, API keys and webhooks. It seals tokens and knows nothing of OAuth. Every method rejects with the
 * driver's error if the database cannot be reached.
 */
export interface Vault extends GrantStore, ApiKeyStore, WebhookStore {
  /** Resolves if the database answers. */
  ping(): Promise<void>
  /** Resolves if the database accepts writes: call it before fetching something that exists nowhere else. */
  assertWritable(): Promise<void>
  close(): Promise<void>
}
