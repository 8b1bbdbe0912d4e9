/** The quota of a location until HighLevel's answers say otherwise. */
export interface QuotaLimits {
  burstMax: number
  windowMs: number
  dayMax: number
}

/** The right to send one call, with what was known when it was granted. */
export interface Permit {
  /** Permits in use in the window, this one included. */
  windowUsed: number
  /** Permits granted today, this one included, without those of calls that HighLevel did not count. */
  dayUsed: number
  /** The number of the day: HighLevel's day where its end is known, else UTC. */
  day: number
  /** The permit's id in Redis, where processes share the window. */
  sharedId?: string
}

/**
 * What the gateway has learned about one location's quota. HighLevel keeps its own count, other clients may use the
 * same quota, and sandboxes have a smaller one: each answer says what is left and so corrects the gateway's count. A
 * plain object, since there is one for each location.
 */
export interface LearnedLimits extends QuotaLimits {
  day: number
  /**
   * A time at which a day of HighLevel's ends or ended, in epoch milliseconds. Midnight UTC until HighLevel says so.
   */
  dayEndsAt: number
  /**
   * Permits granted today, by all processes as far as is known, without those of calls that HighLevel did not count.
   */
  dayUsed: number
  /** The value of `dayUsed` at which the day is used up, by HighLevel's latest answer. */
  dayCeiling: number | undefined
  /** When that answer came, on the monotonic clock. */
  dayCeilingAt: number
  /** The smallest share of the day's calls for which a warning was logged. */
  warnedShare: number
  /**
   * The use of other clients by the latest answers, plus `dayUsed` at that time. `-Infinity` when there is none to
   * evaluate.
   */
  othersPlusDayUsed: number
  /**
   * The most that other clients are known to have used of a window: in this span of one window, and in the one before.
   */
  othersUsage: number
  othersUsageBefore: number
  /** When this span began, on the monotonic clock. */
  othersUsageSince: number
  /** No call is sent before this time, on the monotonic clock. */
  pausedUntil: number
  /** After a pause one call goes first, the trial call, and the others once it has passed. */
  trial: 'none' | 'due' | 'sent'
  /** The length of the latest pause for which HighLevel named no time. */
  pauseMs: number
}

export const createLearnedLimits = (limits: QuotaLimits): LearnedLimits => ({
  ...limits,
  day: 0,
  dayEndsAt: 0,
  dayUsed: 0,
  dayCeiling: undefined,
  dayCeilingAt: 0,
  warnedShare: 1,
  othersPlusDayUsed: Number.NEGATIVE_INFINITY,
  othersUsage: 0,
  othersUsageBefore: 0,
  othersUsageSince: 0,
  pausedUntil: 0,
  trial: 'none',
  pauseMs: 0
})
