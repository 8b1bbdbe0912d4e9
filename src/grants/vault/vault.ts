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
  /** SHA-256 of the key in hex. The key itself is not kept. */
  hash: string
  /** Location ids, or `*` alone for every location. */
  locations: readonly string[]
  createdAt: number
  revokedAt: number | null
}

/**
 * Grants and who may change them. Every write is one statement with its condition in it, so that no two processes can
 * both believe that they were first. Times are epoch milliseconds.
 */
export interface GrantStore {
  /**
   * Tokens that nobody can open are `null`, and the state is then `reconnect-required`. Rejects with a CipherError for
   * tokens under a key that this process does not have.
   */
  loadGrant(subject: Subject): Promise<Grant | undefined>

  /**
   * Takes the lease and notes the intent to renew, if the grant still has this generation, is renewable and nobody
   * else's lease runs. `undefined`, and nothing changed, where not.
   */
  claimGrant(subject: Subject, generation: number, lease: Lease): Promise<Grant | undefined>
  /** The same for the grant that is due the longest of those that this process can open. `undefined` where none is due. */
  claimDue(lease: Lease): Promise<Grant | undefined>
  /**
   * The same for the one of these that has a refresh token to lose, and for which HighLevel was asked the longest ago, but
   * after `since`, with no known outcome.
   */
  claimUnknownOutcome(lease: Lease, since: number): Promise<Grant | undefined>
  /**
   * Makes due what waits for a time that a clock wrote which was ahead and has been set back since: failed renewals that
   * were tried after `at`, and leases and intents of after it.
   */
  clearFutureTimes(at: number): Promise<void>
  /** Moves the end of a lease. False where it is not this owner's any more. */
  extendLease(subject: Subject, owner: string, until: number): Promise<boolean>

  /** Saves what was made of generation `after`, lease or not, and ends lease and intent. False where the generation has moved. */
  saveIssued(fruit: IssuedGrant, after: number): Promise<boolean>
  /** Notes a failure of the lease's owner and ends the lease. False where lease or generation are another's by now. */
  recordFailure(subject: Subject, generation: number, owner: string, setback: RenewalFailure): Promise<boolean>
  /** HighLevel took the token of this generation. */
  markVerified(subject: Subject, generation: number, at: number): Promise<void>
  /** HighLevel refuses the private integration token of this generation: a person has to act, unless it takes it again. */
  markRefused(subject: Subject, generation: number, at: number): Promise<void>

  /**
   * Puts what an install brought in place of whatever is held, once: it is the newest there is. One that is repeated
   * gives way to an install or uninstall that happened after it.
   */
  installGrant(fruit: IssuedGrant, install: Install): Promise<void>
  /**
   * Makes a location one whose tokens are minted from its company's grant: at `dueAt`, or with its first call, or, where
   * it `waits`, once the company is connected. A location that holds working tokens, or that left after `at`, stays as
   * it is. Returns whether it was changed.
   */
  addMintedLocation(
    locationId: string,
    companyId: string,
    at: number,
    when: { dueAt: number | null; waits: boolean }
  ): Promise<boolean>
  /** Makes the company's locations that wait or have ended due at once; of `reasons` alone, where these are given. */
  rescheduleCompany(companyId: string, at: number, reasons?: readonly string[]): Promise<void>
  /**
   * Forgets the tokens, unless they came from an install after `at`. The row stays with a new generation, so that a
   * save under way cannot bring them back.
   */
  markUninstalled(subject: Subject, reason: string, at: number): Promise<boolean>
  /** Notes that the app left, so that an install of before that is known as such when it is reported late. */
  recordUninstall(subject: Subject, at: number): Promise<void>
  /**
   * Notes an uninstall of which nobody knows whether it happened before the tokens that are held: the grant is due at
   * `dueAt`, where that is given, and new tokens that are asked for after `at` disprove it. What is noted already is not put off.
   */
  reportUninstall(subject: Subject, at: number, dueAt: number | null): Promise<void>
  /**
   * Forgets a grant that HighLevel has ended and whose uninstall was reported; of a company, also what was minted from
   * it. Returns whether it was forgotten.
   */
  confirmUninstall(subject: Subject, at: number): Promise<boolean>
  /** The same as `markUninstalled` for a company and everything minted from it. Returns how many grants were forgotten. */
  markCompanyUninstalled(companyId: string, reason: string, at: number): Promise<number>

  /** A grant without its tokens: `reconnect-required` where nobody can open these, as stored where only others can. */
  findGrant(subject: Subject): Promise<GrantSummary | undefined>
  /** The grant whose connection began with this code exchange. */
  findInstall(id: string): Promise<GrantSummary | undefined>
  /** The ids of the companies from which the app was not uninstalled. */
  listCompanies(): Promise<string[]>
  /** The locations in the order of their ids, from behind `after` on. `state`: those in it alone. */
  listLocations(page: LocationPage): Promise<GrantSummary[]>
  /** How many grants are in each state, and when the one that is due first is or was due. */
  countGrants(): Promise<{ states: { state: GrantState; count: number }[]; oldestDueAt: number | null }>
  /** Seals every row anew under the first key, while others read and write. `damaged` rows open under no key. */
  rekeyGrants(): Promise<{ resealed: number; damaged: number }>
}

export interface KeyStore {
  findKey(hash: string): Promise<ApiKey | undefined>
  addKey(key: Omit<ApiKey, 'createdAt' | 'revokedAt'>): Promise<void>
  listKeys(): Promise<ApiKey[]>
  /** False where no key has this id. */
  revokeKey(id: string): Promise<boolean>
}

/** The webhooks that were carried out, so that none is twice. */
export interface WebhookStore {
  hasWebhook(id: string): Promise<boolean>
  /** Notes a webhook; forgets those noted before `olderThan`. */
  addWebhook(id: string, olderThan: number): Promise<void>
}

/**
 * Where grants and API keys live. An implementation seals tokens and knows no OAuth. Every method rejects with the
 * driver's error when the store cannot be reached.
 */
export interface Vault extends GrantStore, KeyStore, WebhookStore {
  /** Resolves while the store answers. */
  ping(): Promise<void>
  /** Resolves while the store takes writes: asked before something is fetched that exists nowhere else. */
  assertWritable(): Promise<void>
  close(): Promise<void>
}
