import type { Grant, Tokens } from './grant.ts'

/** For this long HighLevel gives the same pair for the same refresh token (its changelog, "Smarter Refresh Token Handling"). */
export const GRACE_MS = 30_000

/** Tokens are renewed at 80 to 85 % of their life: spread, so that locations connected together do not renew together. */
const RENEW_AT = 0.8
const RENEW_SPREAD = 0.05

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 3_600_000

/** A call that needs the token is refused for no longer than this before HighLevel is asked again. */
const LONGEST_REFUSAL_MS = 60_000

/** When the sweep should renew these tokens; `null` for tokens that do not expire. */
export const renewAt = ({ issuedAt, expiresAt }: Tokens): number | null =>
  expiresAt === null ? null : issuedAt + Math.round((expiresAt - issuedAt) * (RENEW_AT + Math.random() * RENEW_SPREAD))

/** When the sweep should try again after so many failures in a row: later each time, and never in step with others. */
export const retryAt = (failures: number, now: number): number => {
  const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS)
  return now + Math.round(pauseMs * (0.5 + Math.random() / 2))
}

/** When a call may have HighLevel asked again for the grant, of which the last renewal failed. */
export const callMayTryAt = ({ dueAt, triedAt }: Pick<Grant, 'dueAt' | 'triedAt'>): number =>
  Math.min(dueAt ?? 0, (triedAt ?? 0) + LONGEST_REFUSAL_MS)
