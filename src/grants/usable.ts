import type { Grant, Tokens } from './grant.ts'

/** Whether the access token of a grant has not expired. Such a token is used, whatever became of its renewal. */
export const isUsable = (grant: Grant, now: number): grant is Grant & { tokens: Tokens } =>
  grant.tokens !== null && (grant.tokens.expiresAt === null || now < grant.tokens.expiresAt)
