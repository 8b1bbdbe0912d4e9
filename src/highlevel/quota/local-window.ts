import type { Clock } from '../../shared/clock.ts'
import { burstLimit } from './learned-limits.ts'
import type { Permit, QuotaLimits } from './limits.ts'
import { freeSlots, type LocationQuota, nextPermitAt, paddedWindowMs, takePermit } from './location-quota.ts'
import type { RedisWindow } from './redis-window.ts'

export interface SchedulerDeps {
  limits: QuotaLimits
  /** How many calls may wait for one location. */
  queueMax: number
  /** Absent: this process alone uses the quota. */
  shared: RedisWindow | undefined
  clock: Clock
}

/**
 * How many permits of a window this process may use by its own count. While Redis is down: `burstMax / replicas`,
 * capped for one window at what other processes left unused when Redis last answered, since they may use as much again.
 */
export function localLimit(
  { shared }: SchedulerDeps,
  location: LocationQuota,
  at: number,
  limit = burstLimit(location)
): number {
  if (shared === undefined || shared.isUp()) return limit
  const share = Math.min(limit, Math.ceil(location.burstMax / shared.replicas()))
  const isKnown = at - location.otherReplicasUsageAt < paddedWindowMs(location)
  return isKnown ? Math.max(0, Math.min(share, location.burstMax - location.otherReplicasUsage)) : share
}

/**
 * The most that `localLimit` may be by the time a new call is dispatched. After a 429 other clients' usage is unknown
 * until the trial call is answered, and permits that were taken then may be free.
 */
export const optimisticLimit = (deps: SchedulerDeps, location: LocationQuota, at: number): number =>
  localLimit(deps, location, at, location.trial === 'none' ? burstLimit(location) : location.burstMax)

/** A permit by this process's own count, if there is one. */
export function takeLocally(deps: SchedulerDeps, location: LocationQuota, at: number): Permit | undefined {
  const permit = takePermit(location, localLimit(deps, location, at), at)
  if (permit !== undefined && deps.shared !== undefined) {
    permit.sharedId = deps.shared.addLocal(location.id, { windowMs: paddedWindowMs(location), day: permit.day })
  }
  return permit
}

/** When to dispatch again. `undefined` when calls in flight have to end first: their release dispatches. */
export function nextLocalPermitAt(deps: SchedulerDeps, location: LocationQuota, at: number): number | undefined {
  if (location.pausedUntil > at) return location.pausedUntil
  if (freeSlots(location) === 0) return undefined
  const next = nextPermitAt(location, localLimit(deps, location, at)) ?? Number.POSITIVE_INFINITY
  // After one window the usage of other processes is no longer known.
  const knownUntil = location.otherReplicasUsageAt + paddedWindowMs(location)
  const when = deps.shared !== undefined && knownUntil > at ? Math.min(next, knownUntil) : next
  return Number.isFinite(when) ? when : undefined
}
