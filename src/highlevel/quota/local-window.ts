import { burstLimit } from './learned-limits.ts'
import type { Permit, QuotaLimits } from './limits.ts'
import { freeSlots, type LocationQuota, nextPermitAt, takePermit, windowOf } from './location-quota.ts'
import type { RedisWindow } from './redis-window.ts'

export interface SchedulerDeps {
  limits: QuotaLimits
  /** How many may wait for one location. */
  queueMax: number
  /** Absent: this process counts by itself. */
  shared: RedisWindow | undefined
  /** Epoch milliseconds. */
  now: () => number
}

/**
 * Without Redis, an equal share for each process that there was when it last answered, and no more than others were not
 * using then: for a moment they may use as much as before.
 */
export function limitOf(
  { shared }: SchedulerDeps,
  location: LocationQuota,
  at: number,
  limit = burstLimit(location)
): number {
  if (shared === undefined || shared.isUp()) return limit
  const share = Math.min(limit, Math.ceil(location.burstMax / shared.replicas()))
  const isKnown = at - location.elsewhereAt < windowOf(location)
  return isKnown ? Math.max(0, Math.min(share, location.burstMax - location.elsewhere)) : share
}

/**
 * The same as far as a call that comes now may hope: after a refusal nobody knows what others use until one call has gone
 * first, and what was full then may be free.
 */
export const hopedLimit = (deps: SchedulerDeps, location: LocationQuota, at: number): number =>
  limitOf(deps, location, at, location.proof === 'none' ? burstLimit(location) : location.burstMax)

/** A place by this process's own count, or nothing. */
export function takeLocally(deps: SchedulerDeps, location: LocationQuota, at: number): Permit | undefined {
  const place = takePermit(location, limitOf(deps, location, at), at)
  if (place !== undefined && deps.shared !== undefined) {
    place.shared = deps.shared.hold(location.id, { windowMs: windowOf(location), day: place.day })
  }
  return place
}

/** Where calls under way have to end first, their ends move the line on. */
export function nextLocalAt(deps: SchedulerDeps, location: LocationQuota, at: number): number | undefined {
  if (location.pausedUntil > at) return location.pausedUntil
  if (freeSlots(location) === 0) return undefined
  const next = nextPermitAt(location, limitOf(deps, location, at)) ?? Number.POSITIVE_INFINITY
  // What others used is as good as unknown a window later.
  const known = location.elsewhereAt + windowOf(location)
  const when = deps.shared !== undefined && known > at ? Math.min(next, known) : next
  return Number.isFinite(when) ? when : undefined
}
