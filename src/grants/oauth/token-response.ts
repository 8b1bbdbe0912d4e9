import type { Tokens } from '../grant.ts'

/** What HighLevel's token endpoints issue: the members that the gateway uses. */
export interface TokenResponse {
  tokens: Tokens
  scope?: string
  userType?: string
  companyId?: string
  locationId?: string
  approvedLocations?: string[]
}

/** If the answer has no lifetime: short, so that the token is renewed soon. */
const DEFAULT_LIFE_SECONDS = 3_600

const LONGEST_LIFE_SECONDS = 365 * 86_400

const ID = /^[A-Za-z0-9_-]{1,64}$/
const PRINTABLE = /^[\x20-\x7e]{1,4096}$/
/** The characters that an HTTP header can carry. */
const TOKEN = /^[\x21-\x7e]+$/

const readString = (value: unknown, pattern = /./): string | undefined =>
  typeof value === 'string' && pattern.test(value) ? value : undefined

/** A whole and bounded number of seconds: a time that its column rejects would keep the tokens from being saved. */
const readLifeSeconds = (value: unknown): number => {
  const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof seconds === 'number' && seconds >= 1
    ? Math.min(Math.floor(seconds), LONGEST_LIFE_SECONDS)
    : DEFAULT_LIFE_SECONDS
}

/**
 * Reads each member of a token answer by itself. The answer may have cost the only refresh token, so an invalid member
 * must not discard the tokens beside it. Returns `undefined` only if there is no access token.
 */
export function readTokenResponse(body: unknown, issuedAt: number): TokenResponse | undefined {
  const members = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
  const accessToken = readString(members['access_token'], TOKEN)
  if (accessToken === undefined) return undefined

  const expiresAt = issuedAt + readLifeSeconds(members['expires_in']) * 1_000
  const tokens: Tokens = { accessToken, expiresAt, issuedAt }
  const refreshToken = readString(members['refresh_token'])
  if (refreshToken !== undefined) tokens.refreshToken = refreshToken

  const response: TokenResponse = { tokens }
  for (const name of ['scope', 'userType', 'companyId', 'locationId'] as const) {
    const value = readString(members[name], name.endsWith('Id') ? ID : PRINTABLE)
    if (value !== undefined) response[name] = value
  }
  const approved = members['approvedLocations']
  if (Array.isArray(approved)) response.approvedLocations = approved.filter((id) => readString(id, ID) !== undefined)
  return response
}
