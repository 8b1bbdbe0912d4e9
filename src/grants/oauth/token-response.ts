import { ID } from '../../shared/ids.ts'
import type { Tokens } from '../grant.ts'

/** What HighLevel's token endpoints issue, as far as it is of use. */
export interface Issued {
  tokens: Tokens
  scope?: string
  userType?: string
  companyId?: string
  locationId?: string
  approvedLocations?: string[]
}

/** Where the answer does not say how long the token lives: short, so that it is renewed soon. */
const UNSAID_LIFE_SECONDS = 3_600

const LONGEST_LIFE_SECONDS = 365 * 86_400

const word = (value: unknown, pattern = /./): string | undefined =>
  typeof value === 'string' && pattern.test(value) ? value : undefined

const PRINTABLE = /^[\x20-\x7e]{1,4096}$/
/** What a header can carry. */
const TOKEN = /^[\x21-\x7e]+$/

const seconds = (value: unknown): number => {
  const given = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  // Whole and bounded: a time that a column does not take would keep the pair from being saved.
  return typeof given === 'number' && given >= 1
    ? Math.min(Math.floor(given), LONGEST_LIFE_SECONDS)
    : UNSAID_LIFE_SECONDS
}

/**
 * Reads a token answer, each member by itself: the pair in it may have cost the only refresh token there was, so that
 * an odd member beside it must not lose it. `undefined` only where there is no access token at all.
 */
export function readIssued(body: unknown, issuedAt: number): Issued | undefined {
  const members = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
  const accessToken = word(members['access_token'], TOKEN)
  if (accessToken === undefined) return undefined

  const tokens: Tokens = { accessToken, expiresAt: issuedAt + seconds(members['expires_in']) * 1_000, issuedAt }
  const refreshToken = word(members['refresh_token'])
  if (refreshToken !== undefined) tokens.refreshToken = refreshToken

  const issued: Issued = { tokens }
  for (const name of ['scope', 'userType', 'companyId', 'locationId'] as const) {
    const value = word(members[name], name.endsWith('Id') ? ID : PRINTABLE)
    if (value !== undefined) issued[name] = value
  }
  const approved = members['approvedLocations']
  if (Array.isArray(approved)) issued.approvedLocations = approved.filter((id) => word(id, ID) !== undefined)
  return issued
}
