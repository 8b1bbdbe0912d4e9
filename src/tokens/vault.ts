/** Whose grant it is: one location's, or a company's from which its locations' tokens are minted. */
export type Subject = `location:${string}` | `company:${string}`

/**
 * `oauth`: rotates by its own refresh token. `minted`: made anew from the company's grant. `private`: a private
 * integration token, which never changes.
 */
export type GrantKind = 'oauth' | 'minted' | 'private'

export type GrantState = 'connected' | 'reconnect-required' | 'paused' | 'uninstalled'

export interface Tokens {
  accessToken: string
  /** Single use. Absent for kinds that do not rotate. */
  refreshToken?: string
  /** Epoch milliseconds; `null` where the token does not expire. */
  expiresAt: number | null
  issuedAt: number
}

export interface Grant {
  subject: Subject
  kind: GrantKind
  companyId: string | null
  /** Grows by one with every save. A save names the generation that it follows, so none is overwritten unseen. */
  generation: number
  /** `null` before the first mint and after an uninstall. */
  tokens: Tokens | null
  /** As HighLevel granted them, space-separated. */
  scopes: string
  state: GrantState
  /** Epoch milliseconds. */
  stateSince: number
  stateReason: string | null
}

/** A grant without its tokens: what lists and logs may show. */
export type GrantSummary = Omit<Grant, 'tokens'> & { expiresAt: number | null }

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
 * Where grants and API keys live. An implementation seals tokens and knows no OAuth. Every method rejects with the
 * driver's error when the store cannot be reached.
 */
export interface Vault {
  /** Tokens that do not open are `null`, and the state is then `reconnect-required`. */
  loadGrant(subject: Subject): Promise<Grant | undefined>
  /**
   * Saves `grant`, if the store still holds generation `after` (0: none). Returns false, and changes nothing, where
   * another save got ahead. `generation` is what it is saved as: `after + 1`, or a later one where generations between
   * the two never reached the store.
   */
  saveGrant(grant: Omit<Grant, 'generation'>, after: number, generation?: number): Promise<boolean>
  /** Forgets the tokens. The row stays with a new generation, so that a save under way cannot bring them back. */
  forgetGrant(subject: Subject, reason: string): Promise<boolean>
  listGrants(prefix: 'location:' | 'company:'): Promise<GrantSummary[]>

  findKey(hash: string): Promise<ApiKey | undefined>
  addKey(key: Omit<ApiKey, 'createdAt' | 'revokedAt'>): Promise<void>
  listKeys(): Promise<ApiKey[]>
  /** False where no key has this id. */
  revokeKey(id: string): Promise<boolean>

  /** Resolves while the store answers. */
  ping(): Promise<void>
  close(): Promise<void>
}
