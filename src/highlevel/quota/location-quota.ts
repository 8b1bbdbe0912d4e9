import type { Timer } from '../../shared/clock.ts'
import type { FairQueue } from './fair-queue.ts'
import { burstLimit } from './learned-limits.ts'
import { createLearnedLimits, type LearnedLimits, type Permit, type QuotaLimits } from './limits.ts'
import type { QueueEntry } from './queue-entry.ts'
import { createWindowLog, dropExpired, expiresAt, recordAnswered, usedOf, type WindowLog } from './window-log.ts'

/** How many calls of one location may be on the wire: a location that hangs must not hold every connection. */
const MAX_IN_FLIGHT = 64
/** Clocks run at slightly different speeds, HighLevel's included: a window is taken to be longer by this. */
const WINDOW_PADDING_MS = 25

/** A location and its quota. A plain object, since there may be a hundred thousand of them. */
export interface LocationQuota extends LearnedLimits {
  id: string
  windowLog: WindowLog
  inFlight: number
  queue: FairQueue<QueueEntry> | undefined
  dispatchTimer: Timer | undefined
  lastUsedAt: number
  /** A request for permits is under way. Calls that come meanwhile are in the next request. */
  isAskingRedis: boolean
  /** Whether Redis granted the latest permit. */
  isFromRedis: boolean
  /** How many permits were in use then, over all processes. */
  redisWindowUsed: number
  /** No permit is free before this time, as far as is known. */
  nextFreeAt: number
  /** How many of the permits that were granted on `redisLostOnDay` Redis no longer counts. */
  redisLostDayUsed: number
  redisLostOnDay: number
  /** How many permits other processes had in use when Redis last granted some, and when that was. */
  otherReplicasUsage: number
  otherReplicasUsageAt: number
}

/** One literal: V8 turns an object with so many assigned members into a hash table, and each access into a lookup. */
export const createLocationQuota = (id: string, limits: QuotaLimits): LocationQuota => ({
  ...createLearnedLimits(limits),
  id,
  windowLog: createWindowLog(),
  inFlight: 0,
  queue: undefined,
  dispatchTimer: undefined,
  lastUsedAt: 0,
  isAskingRedis: false,
  isFromRedis: false,
  redisWindowUsed: 0,
  nextFreeAt: 0,
  redisLostDayUsed: 0,
  redisLostOnDay: 0,
  otherReplicasUsage: 0,
  otherReplicasUsageAt: Number.NEGATIVE_INFINITY
})

export const paddedWindowMs = ({ windowMs }: LocationQuota): number => windowMs + WINDOW_PADDING_MS

/** How many calls may go on the wire now, quota aside. */
export const freeSlots = ({ inFlight, trial }: LocationQuota): number =>
  trial === 'none' ? Math.max(0, MAX_IN_FLIGHT - inFlight) : trial === 'due' ? 1 : 0

/** A call is about to be sent. */
export function reserve(location: LocationQuota): void {
  if (location.trial === 'due') location.trial = 'sent'
  location.inFlight += 1
  location.windowLog.pending += 1
}

/** A call was answered or failed. `isCounted`: HighLevel may have counted it. */
export function free(location: LocationQuota, permit: Permit, isCounted: boolean, at: number): void {
  location.inFlight -= 1
  // The trial call got no answer, or another call ended first: one more may go.
  if (location.trial === 'sent') location.trial = 'due'
  if (isCounted) {
    recordAnswered(location.windowLog, location.windowMs, at)
    return
  }
  location.windowLog.pending -= 1
  location.nextFreeAt = 0
  if (permit.day === location.day) location.dayUsed -= 1
}

/** A permit by this process's own count, if there is one. `limit` is the number of permits in a window. */
export function takePermit(location: LocationQuota, limit: number, at: number): Permit | undefined {
  if (freeSlots(location) === 0 || at < location.pausedUntil) return undefined
  dropExpired(location.windowLog, paddedWindowMs(location), at)
  if (usedOf(location.windowLog) >= limit) return undefined
  location.isFromRedis = false
  reserve(location)
  location.dayUsed += 1
  return { windowUsed: usedOf(location.windowLog), dayUsed: location.dayUsed, day: location.day }
}

/** When this process's own count has a permit again; `undefined` when calls have to be answered first. */
export const nextPermitAt = (location: LocationQuota, limit: number): number | undefined =>
  expiresAt(location.windowLog, usedOf(location.windowLog) - limit, paddedWindowMs(location))

/** Until there is a permit, at the earliest, for a call with `ahead` others before it. */
export function msUntilPermit(location: LocationQuota, limit: number, ahead: number, at: number): number {
  const { windowLog, pausedUntil, nextFreeAt } = location
  const windowMs = paddedWindowMs(location)
  dropExpired(windowLog, windowMs, at)
  const minMs = Math.max(0, pausedUntil - at, nextFreeAt - at)
  const surplus = usedOf(windowLog) + ahead - limit
  if (surplus < 0) return minMs
  if (limit < 1) return Math.max(minMs, 1)
  const when = expiresAt(windowLog, surplus, windowMs)
  if (when !== undefined) return Math.max(minMs, when - at)
  // The calls in its way are not answered, or not even sent: one window at least, and one more for each `limit` of
  // them.
  return Math.max(minMs, windowMs * (1 + Math.floor((surplus - windowLog.answered) / limit)))
}

/** How many calls are left in the window. */
export function burstLeft(location: LocationQuota, at: number): number {
  if (at < location.pausedUntil) return 0
  dropExpired(location.windowLog, paddedWindowMs(location), at)
  const used = location.isFromRedis ? location.redisWindowUsed : usedOf(location.windowLog)
  return Math.max(0, burstLimit(location) - used)
}

/** Until more of the window is left. */
export function burstResetMs(location: LocationQuota, at: number): number {
  const next = expiresAt(location.windowLog, 0, paddedWindowMs(location)) ?? at + paddedWindowMs(location)
  return Math.max(next, location.pausedUntil) - at
}
