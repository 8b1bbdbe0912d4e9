import { randomUUID } from 'node:crypto'
import type { Install, IssuedGrant, Lease, Tokens } from '../../src/grants/grant.ts'

export const ONE = 'location:one'

export const tokens = (accessToken: string): Tokens => ({
  accessToken,
  refreshToken: `${accessToken}-refresh`,
  expiresAt: 2_000,
  issuedAt: 1_000
})

/** The result of a renewal or an install, named by its access token. */
export const issuedGrant = (accessToken: string, changes: Partial<IssuedGrant> = {}): IssuedGrant => ({
  subject: ONE,
  kind: 'oauth',
  companyId: 'company1',
  tokens: tokens(accessToken),
  scopes: 'objects/record.write objects/record.readonly',
  stateSince: 1_000,
  verified: true,
  dueAt: 1_800,
  ...changes
})

export const lease = (owner: string, at: number, lifeMs = 8_000): Lease => ({ owner, at, until: at + lifeMs })

/** An install at this time. */
export const install = (at: number, changes: Partial<Install> = {}): Install => ({
  id: randomUUID(),
  at,
  isRepeated: false,
  ...changes
})

/** When a minted location gets its token: with its first call, by default. */
export const mintOptions = (changes: { dueAt?: number | null; waitsForCompany?: boolean } = {}) => ({
  dueAt: null,
  waitsForCompany: false,
  ...changes
})
