import type { FairQueue } from './fair-queue.ts'
import { burstLimit } from './learned-limits.ts'
import { createLearnedLimits, type LearnedLimits, type Permit, type QuotaLimits } from './limits.ts'
import type { QueueEntry } from './queue-entry.ts'
import { createWindowLog, dropExpired, expiresAt, recordAnswered, usedOf, type WindowLog } from './window-log.ts'

/** Calls of one location that are on the wire at a time: a location that hangs must not hold every connection. */
const MAX_IN_FLIGHT = 64
/** Clocks differ a little, HighLevel's among them: a window is taken to be so much longer. */
const GUARD_MS = 25

/** A location and its quota. A plain object, as there may be a hundred thousand of them. */
export interface LocationQuota extends LearnedLimits {
  id: string
  windowLog: WindowLog
  inFlight: number
  queue: FairQueue<QueueEntry> | undefined
  timer: NodeJS.Timeout | undefined
  seenAt: number
  /** Redis is being asked. Who comes meanwhile is asked for together afterwards. */
  isAsking: boolean
  /** Redis gave the last place; it said that so many are in use, and from when on there is a free one. */
  isShared: boolean
  sharedUsed: number
  freeFrom: number
  /** Redis has forgotten so many of those that were taken on this day. */
  forgotten: number
  forgottenOn: number
  /** How many of those were other processes', and when that was said. */
  elsewhere: number
  elsewhereAt: number
}

/** One literal: an object to which so many members are assigned becomes a hash table, and each use of a member a lookup. */
export const createLocationQuota = (id: string, limits: QuotaLimits): LocationQuota => ({
  ...createLearnedLimits(limits),
  id,
  windowLog: createWindowLog(),
  inFlight: 0,
  queue: undefined,
  timer: undefined,
  seenAt: 0,
  isAsking: false,
  isShared: false,
  sharedUsed: 0,
  freeFrom: 0,
  forgotten: 0,
  forgottenOn: 0,
  elsewhere: 0,
  elsewhereAt: Number.NEGATIVE_INFINITY
})

export const windowOf = ({ windowMs }: LocationQuota): number => windowMs + GUARD_MS

/** How many calls may be sent now, quota aside. */
export const freeSlots = ({ inFlight, proof }: LocationQuota): number =>
  proof === 'none' ? Math.max(0, MAX_IN_FLIGHT - inFlight) : proof === 'due' ? 1 : 0

/** A call is about to be sent. */
export function reserve(location: LocationQuota): void {
  if (location.proof === 'due') location.proof = 'sent'
  location.inFlight += 1
  location.windowLog.pending += 1
}

/** A call was answered, or broke; `isCounted` where HighLevel may have counted it. */
export function free(location: LocationQuota, place: Permit, isCounted: boolean, at: number): void {
  location.inFlight -= 1
  // The one that went first got no answer, or another one broke: one more may go.
  if (location.proof === 'sent') location.proof = 'due'
  if (isCounted) {
    recordAnswered(location.windowLog, location.windowMs, at)
    return
  }
  location.windowLog.pending -= 1
  location.freeFrom = 0
  if (place.day === location.day) location.taken -= 1
}

/** A place by this process's own count, or nothing. `limit` is the number of places in a window. */
export function takePermit(location: LocationQuota, limit: number, at: number): Permit | undefined {
  if (freeSlots(location) === 0 || at < location.pausedUntil) return undefined
  dropExpired(location.windowLog, windowOf(location), at)
  if (usedOf(location.windowLog) >= limit) return undefined
  location.isShared = false
  reserve(location)
  location.taken += 1
  return { used: usedOf(location.windowLog), taken: location.taken, day: location.day }
}

/** When this process's own count has a place again; `undefined` where calls have to be answered before that is known. */
export const nextPermitAt = (location: LocationQuota, limit: number): number | undefined =>
  expiresAt(location.windowLog, usedOf(location.windowLog) - limit, windowOf(location))

/** In how many milliseconds there is a place, at the earliest, for one with `ahead` others before it. */
export function permitInMs(location: LocationQuota, limit: number, ahead: number, at: number): number {
  const { windowLog, pausedUntil, freeFrom } = location
  const windowMs = windowOf(location)
  dropExpired(windowLog, windowMs, at)
  const least = Math.max(0, pausedUntil - at, freeFrom - at)
  const surplus = usedOf(windowLog) + ahead - limit
  if (surplus < 0) return least
  if (limit < 1) return Math.max(least, 1)
  const when = expiresAt(windowLog, surplus, windowMs)
  if (when !== undefined) return Math.max(least, when - at)
  // Those in its way are not answered, or not even sent: a window at the earliest, and one more for each windowful.
  return Math.max(least, windowMs * (1 + Math.floor((surplus - windowLog.settled) / limit)))
}

/** What is left of the window. */
export function burstLeft(location: LocationQuota, at: number): number {
  if (at < location.pausedUntil) return 0
  dropExpired(location.windowLog, windowOf(location), at)
  return Math.max(0, burstLimit(location) - (location.isShared ? location.sharedUsed : usedOf(location.windowLog)))
}

/** In how many milliseconds more of the window is left. */
export function burstResetMs(location: LocationQuota, at: number): number {
  const next = expiresAt(location.windowLog, 0, windowOf(location)) ?? at + windowOf(location)
  return Math.max(next, location.pausedUntil) - at
}
