/** What is taken for true of a location until HighLevel’s answers say otherwise. */
export interface QuotaLimits {
  burstMax: number
  windowMs: number
  dayMax: number
}

/** A place in a location's quota: what was known when it was given. */
export interface Permit {
  /** The places in use, this one included. */
  used: number
  /** How many were given on this day, this one included, but for those that HighLevel did not count. */
  taken: number
  /** The number of the day, which is HighLevel's where that is known. */
  day: number
  /** Its name where it is shared with other processes. */
  shared?: string
}

/**
 * What the gateway knows of one location's quota. HighLevel counts for itself, others may draw on the same quota, and
 * sandboxes have less of it: each answer says what is left, and that corrects what was counted here. A plain object, as
 * there is one for each location.
 */
export interface LearnedLimits extends QuotaLimits {
  day: number
  /** A time, in epoch milliseconds, at which a day of HighLevel's ends or ended. Until it says so: midnight UTC. */
  dayEndsAt: number
  /** Places given today, by all processes as far as is known, but for those that HighLevel did not count. */
  taken: number
  /** HighLevel's last word on the day: what was left then, and `taken` on top; when it was said, on the monotonic clock. */
  dayMark: number | undefined
  markedAt: number
  /** The smallest share of the day's calls at which it was told that they run low. */
  lowMark: number
  /** What an answer says of others' use, to be held against what is taken since. */
  evidence: number
  /** The most that others are known to have used of a window, in this span of time and in the one before. */
  others: number
  othersBefore: number
  othersSince: number
  /** HighLevel has said to wait, until then. */
  pausedUntil: number
  /** After that one call goes first, and the others once it has passed. */
  proof: 'none' | 'due' | 'sent'
  pauseMs: number
}

export const createLearnedLimits = (limits: QuotaLimits): LearnedLimits => ({
  ...limits,
  day: 0,
  dayEndsAt: 0,
  taken: 0,
  dayMark: undefined,
  markedAt: 0,
  lowMark: 1,
  evidence: Number.NEGATIVE_INFINITY,
  others: 0,
  othersBefore: 0,
  othersSince: 0,
  pausedUntil: 0,
  proof: 'none',
  pauseMs: 0
})
