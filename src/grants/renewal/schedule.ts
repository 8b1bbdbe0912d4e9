import type { Grant, Tokens } from '../grant.ts'

/**
 * For this long after a refresh token was spent, HighLevel answers it with the same new tokens ("Smarter Refresh Token
 * Handling" in its changelog).
 */
export const GRACE_MS = 30_000

/** Tokens are renewed at 80 to 85 % of their life. The spread keeps locations connected together from renewing together. */
const RENEW_AT = 0.8
const RENEW_SPREAD = 0.05

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 3_600_000

/** The longest pause between retries while HighLevel, within its grace, may hold tokens that nobody has received. */
const LONGEST_PAUSE_IN_GRACE_MS = 4_000

/** While the same uninstall is reported again and again, the gateway asks HighLevel about it once in this time. */
export const VERIFY_EVERY_MS = 60_000

/** After a failed renewal, calls that need a token are refused for at most this long before one may retry it. */
const LONGEST_REFUSAL_MS = 60_000

/** A grant that ended with a refusal in unknown words is tried again after this. */
const REVIEW_MS = 3_600_000

/**
 * Clocks of different processes agree to within this. A stored time further ahead was written by a clock that has been
 * set back since, and is ignored.
 */
export const SKEW_MS = 10_000

/** When the renewal worker should renew these tokens; `null` if they do not expire. */
export const renewAt = ({ issuedAt, expiresAt }: Tokens): number | null =>
  expiresAt === null ? null : issuedAt + Math.round((expiresAt - issuedAt) * (RENEW_AT + Math.random() * RENEW_SPREAD))

/**
 * When the renewal worker should retry what has failed since `since`: the pause is as long as the failure has lasted,
 * with jitter. `unknownSince`: the time of the last refresh of unknown outcome. Within its grace, the pauses stay short.
 */
export const retryAt = (since: number, now: number, unknownSince: number | null): number => {
  const isInGrace = unknownSince !== null && Math.abs(now - unknownSince) < GRACE_MS
  const longestMs = isInGrace ? LONGEST_PAUSE_IN_GRACE_MS : LONGEST_PAUSE_MS
  const pauseMs = Math.min(Math.max(now - since, FIRST_PAUSE_MS), longestMs)
  return now + Math.round(pauseMs * (0.5 + Math.random() / 2))
}

/** When a grant that has ended is tried again: in an hour after a refusal in unknown words, else never (`null`). */
export const reviewAt = (refusal: { isUnrecognized: boolean } | undefined, now: number): number | null =>
  refusal?.isUnrecognized ? now + REVIEW_MS : null

/** When a call may retry the renewal of a grant whose last renewal failed. */
export const callMayRetryAt = ({ dueAt, triedAt }: Pick<Grant, 'dueAt' | 'triedAt'>, now: number): number => {
  if (triedAt !== null && triedAt > now + SKEW_MS) return now
  return Math.min(dueAt ?? 0, (triedAt ?? 0) + LONGEST_REFUSAL_MS)
}
