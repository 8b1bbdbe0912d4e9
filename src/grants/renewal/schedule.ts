import type { Grant, Tokens } from '../grant.ts'

/** For this long HighLevel gives the same pair for the same refresh token (its changelog, "Smarter Refresh Token Handling"). */
export const GRACE_MS = 30_000

/** Tokens are renewed at 80 to 85 % of their life: spread, so that locations connected together do not renew together. */
const RENEW_AT = 0.8
const RENEW_SPREAD = 0.05

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 3_600_000

/** An uninstall that is reported again and again has HighLevel asked once in this time. */
export const VERIFY_EVERY_MS = 60_000

/** A call that needs the token is refused for no longer than this before HighLevel is asked again. */
const LONGEST_REFUSAL_MS = 60_000

/** When the sweep should renew these tokens; `null` for tokens that do not expire. */
export const renewAt = ({ issuedAt, expiresAt }: Tokens): number | null =>
  expiresAt === null ? null : issuedAt + Math.round((expiresAt - issuedAt) * (RENEW_AT + Math.random() * RENEW_SPREAD))

/** HighLevel is asked again so often while it may hold a pair that nobody has. */
const PAUSE_IN_GRACE_MS = 4_000

/** A grant that ended by words that are not known ones is looked at again after this. */
const REVIEW_MS = 3_600_000

/** Clocks agree to within this. A time further ahead was written by a clock that has been set back since, and means nothing. */
export const SKEW_MS = 10_000

/**
 * When the sweep should try again what has failed since `since`: after as long again, and never in step with others.
 * `unknownSince`: when HighLevel was last asked with no known outcome; while its grace may last, that comes first.
 */
export const retryAt = (since: number, now: number, unknownSince: number | null): number => {
  const isInGrace = unknownSince !== null && Math.abs(now - unknownSince) < GRACE_MS
  const longestMs = isInGrace ? PAUSE_IN_GRACE_MS : LONGEST_PAUSE_MS
  const pauseMs = Math.min(Math.max(now - since, FIRST_PAUSE_MS), longestMs)
  return now + Math.round(pauseMs * (0.5 + Math.random() / 2))
}

/** When a grant that has ended is looked at again: where there is doubt; else never. */
export const reviewAt = (refusal: { isUnrecognized: boolean } | undefined, now: number): number | null =>
  refusal?.isUnrecognized ? now + REVIEW_MS : null

/** When a call may have HighLevel asked again for the grant, of which the last renewal failed. */
export const callMayRetryAt = ({ dueAt, triedAt }: Pick<Grant, 'dueAt' | 'triedAt'>, now: number): number => {
  if (triedAt !== null && triedAt > now + SKEW_MS) return now
  return Math.min(dueAt ?? 0, (triedAt ?? 0) + LONGEST_REFUSAL_MS)
}
