import type { FairQueue } from './fair-queue.ts'
import { burstLimit, resetOthersUsage, updateOthersUsage } from './learned-limits.ts'
import type { Permit } from './limits.ts'
import { freeSlots, type LocationQuota, paddedWindowMs, reserve } from './location-quota.ts'
import type { QueueEntry } from './queue-entry.ts'
import type { GrantedPermits, RedisWindow } from './redis-window.ts'
import { usedOf } from './window-log.ts'

/**
 * How many permits of the day are used after this grant. Redis may have lost its count. What it lost is added here:
 * otherwise those calls, which HighLevel still counts, would look like other clients' for two windows.
 */
function mergeDayUsed(location: LocationQuota, granted: GrantedPermits): number {
  if (location.redisLostOnDay !== location.day) {
    location.redisLostDayUsed = 0
    location.redisLostOnDay = location.day
  }
  const before = granted.dayUsed - granted.ids.length + location.redisLostDayUsed
  location.redisLostDayUsed += Math.max(0, location.dayUsed - before)
  return granted.dayUsed + location.redisLostDayUsed
}

/**
 * Gives the permits that Redis granted to waiting calls, and returns those that cannot be used. `day`: of the request.
 */
export function dispatchGranted(
  redisWindow: RedisWindow,
  location: LocationQuota,
  queue: FairQueue<QueueEntry>,
  granted: GrantedPermits,
  day: number,
  at: number
): void {
  location.redisWindowUsed = granted.windowUsed
  location.nextFreeAt = granted.waitMs > 0 ? at + granted.waitMs : 0
  if (!location.isFromRedis) {
    // Redis counts the calls that looked like other clients' while it was down. This request asked for too few permits.
    if (resetOthersUsage(location)) location.nextFreeAt = 0
    location.isFromRedis = true
  }
  if (day === location.day) {
    location.dayUsed = mergeDayUsed(location, granted)
    updateOthersUsage(location, at)
  }
  const last = granted.ids.length - 1
  const { dayUsed } = location
  let returned = 0
  for (const [i, sharedId] of granted.ids.entries()) {
    const windowUsed = Math.max(granted.windowUsed - last + i, usedOf(location.windowLog) + 1)
    const permit = { windowUsed, dayUsed: dayUsed - last + i, day, sharedId }
    // During the request HighLevel may have answered 429, or calls may have gone by this process's own count.
    const isUsable =
      at >= location.pausedUntil && freeSlots(location) > 0 && usedOf(location.windowLog) < burstLimit(location)
    const entry = isUsable ? queue.shift() : undefined
    if (entry === undefined) {
      returnUnused(redisWindow, location, permit)
      returned += 1
    } else {
      reserve(location)
      entry.resolve(permit)
    }
  }
  location.otherReplicasUsage = Math.max(0, granted.windowUsed - returned - usedOf(location.windowLog))
  location.otherReplicasUsageAt = at
}

function returnUnused(redisWindow: RedisWindow, location: LocationQuota, { sharedId, day }: Required<Permit>): void {
  if (day === location.day) location.dayUsed -= 1
  location.nextFreeAt = 0
  redisWindow.release(location.id, sharedId, false, { windowMs: paddedWindowMs(location), day })
}
