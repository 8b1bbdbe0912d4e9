import { Problem } from '../../problems/problem.ts'
import { isGone, type LocationCall } from '../call.ts'
import { callerGone } from '../deadline.ts'
import { dayHasRoom, dayLeft, rollOverDay } from './day.ts'
import { createFairQueue, type FairQueue } from './fair-queue.ts'
import { burstLimit, forgetOthers, updateOthersUsage } from './learned-limits.ts'
import type { Permit } from './limits.ts'
import { hopedLimit, limitOf, nextLocalAt, type SchedulerDeps, takeLocally } from './local-window.ts'
import { free, freeSlots, type LocationQuota, permitInMs, reserve, windowOf } from './location-quota.ts'
import { burstProblem, dayProblem, deadlineProblem, queueFullProblem } from './problems.ts'
import { createQueueEntry, type QueueEntry } from './queue-entry.ts'
import type { GrantedPermits, RedisWindow } from './redis-window.ts'
import { dropExpired, usedOf } from './window-log.ts'

/** Of a shared window at most this share is asked for at once, so that a process that waits takes turns with others. */
const CHUNK_SHARE = 0.1

/** A place to send this call from: at once, or when its turn has come. Throws or rejects with a Problem. */
export function acquire(
  deps: SchedulerDeps,
  location: LocationQuota,
  call: LocationCall,
  at: number
): Permit | Promise<Permit> {
  rollOverDay(location, deps.now())
  if (!dayHasRoom(location, at)) throw dayProblem(deps.now(), location.dayEndsAt)
  if (location.queue === undefined || location.queue.size === 0) {
    const place = deps.shared?.isUp() ? undefined : takeLocally(deps, location, at)
    if (place !== undefined) return place
  }
  return wait(deps, location, call, at)
}

/** Gives a place back; `isCounted` where HighLevel may have counted the call. */
export function release(
  deps: SchedulerDeps,
  location: LocationQuota,
  place: Permit,
  isCounted: boolean,
  at: number
): void {
  free(location, place, isCounted, at)
  if (!location.isShared) updateOthersUsage(location, at)
  if (place.shared !== undefined)
    deps.shared?.settle(location.id, place.shared, isCounted, { windowMs: windowOf(location), day: place.day })
  if (location.queue !== undefined && location.queue.size > 0) dispatch(deps, location)
}

/** Whoever waits is answered with a problem. */
export function refuseAll(location: LocationQuota, problem: () => Problem): void {
  clearTimeout(location.timer)
  for (const waiter of location.queue?.clear() ?? []) waiter.refuse(problem())
}

function wait(deps: SchedulerDeps, location: LocationQuota, call: LocationCall, at: number): Promise<Permit> {
  location.queue ??= createFairQueue()
  const { queue } = location
  const { id: callerId } = call.caller
  if (at >= call.deadlineAt) throw deadlineProblem()
  const limit = hopedLimit(deps, location, at)
  const ms = permitInMs(location, limit, call.isRepeat ? 0 : queue.ahead(callerId), at)
  if (at + ms > call.deadlineAt) throw burstProblem(ms)
  if (isGone(call.caller)) throw callerGone()
  // Those for whom there is quota wait for the wire alone.
  const room = deps.queueMax + Math.max(0, limit - usedOf(location.windowLog))
  if (!call.isRepeat && queue.size >= room) {
    const last = queue.makeRoom(callerId)
    if (last === undefined) throw queueFullProblem(ms)
    last.refuse(queueFullProblem(ms))
  }

  const late = () => {
    const lateAt = performance.now()
    const lateMs = permitInMs(location, limitOf(deps, location, lateAt), queue.ahead(callerId), lateAt)
    return lateMs > 0 ? burstProblem(lateMs) : deadlineProblem()
  }
  const { waiter, place } = createQueueEntry(call, { remove: queue.remove, late })
  if (call.isRepeat) queue.unshift(waiter)
  else queue.push(waiter)
  dispatch(deps, location)
  return place
}

/** Lets go whoever can go. */
export function dispatch(deps: SchedulerDeps, location: LocationQuota): void {
  const { queue } = location
  if (queue === undefined || queue.size === 0) return
  const at = performance.now()
  rollOverDay(location, deps.now())
  if (!dayHasRoom(location, at)) refuseAll(location, () => dayProblem(deps.now(), location.dayEndsAt))
  else if (deps.shared?.isUp()) {
    askRedis(deps, deps.shared, location, queue, at).catch((cause: unknown) => {
      refuseAll(location, () => new Problem('internal', 'Something failed inside the gateway', { cause }))
    })
  } else dispatchLocally(deps, location, queue, at)
}

function dispatchLocally(deps: SchedulerDeps, location: LocationQuota, line: FairQueue<QueueEntry>, at: number): void {
  while (line.size > 0 && dayHasRoom(location, at)) {
    const place = takeLocally(deps, location, at)
    if (place === undefined) break
    line.shift()?.give(place)
  }
  if (line.size > 0 && !dayHasRoom(location, at)) refuseAll(location, () => dayProblem(deps.now(), location.dayEndsAt))
  else if (line.size > 0) wakeAt(deps, location, nextLocalAt(deps, location, at), at)
}

function wakeAt(deps: SchedulerDeps, location: LocationQuota, when: number | undefined, at: number): void {
  clearTimeout(location.timer)
  if (when !== undefined) location.timer = setTimeout(() => dispatch(deps, location), Math.max(1, when - at))
}

/** Asks Redis for places for those who wait. */
async function askRedis(
  deps: SchedulerDeps,
  shared: RedisWindow,
  location: LocationQuota,
  line: FairQueue<QueueEntry>,
  at: number
): Promise<void> {
  if (location.isAsking) return
  const freeFrom = Math.max(location.pausedUntil, location.freeFrom)
  const limit = burstLimit(location)
  dropExpired(location.windowLog, windowOf(location), at)
  // Redis may have lost what it knew: this process's own count holds all the same.
  const own = limit - usedOf(location.windowLog)
  const chunk = Math.max(1, Math.ceil(limit * CHUNK_SHARE))
  const want = Math.min(line.size, freeSlots(location), chunk, own, Math.max(1, dayLeft(location)))
  if (at < freeFrom || want <= 0) {
    wakeAt(deps, location, at < freeFrom ? freeFrom : nextLocalAt(deps, location, at), at)
    return
  }

  const { day } = location
  location.isAsking = true
  try {
    const given = await shared.take(location.id, { want, limit, windowMs: windowOf(location), day })
    if (given !== undefined) dispatchGranted(deps, location, line, given, day)
  } finally {
    location.isAsking = false
  }
  dispatch(deps, location)
}

/**
 * What is taken of the day, after Redis gave these places. It may have lost what it counted: counted anew, the calls that
 * HighLevel goes on counting would look like others', and be left to them for two windows.
 */
function takenOf(location: LocationQuota, given: GrantedPermits): number {
  if (location.forgottenOn !== location.day) Object.assign(location, { forgotten: 0, forgottenOn: location.day })
  const before = given.taken - given.names.length + location.forgotten
  location.forgotten += Math.max(0, location.taken - before)
  return given.taken + location.forgotten
}

function dispatchGranted(
  deps: SchedulerDeps,
  location: LocationQuota,
  line: FairQueue<QueueEntry>,
  given: GrantedPermits,
  day: number
): void {
  const at = performance.now()
  location.sharedUsed = given.used
  location.freeFrom = given.waitMs > 0 ? at + given.waitMs : 0
  if (!location.isShared) {
    // Redis counts what looked like others' while it was away: it was asked for too few, and is asked again.
    if (forgetOthers(location)) location.freeFrom = 0
    location.isShared = true
  }
  if (day === location.day) {
    location.taken = takenOf(location, given)
    updateOthersUsage(location, at)
  }
  const last = given.names.length - 1
  const { taken } = location
  let returned = 0
  for (const [i, shared] of given.names.entries()) {
    const used = Math.max(given.used - last + i, usedOf(location.windowLog) + 1)
    const place = { used, taken: taken - last + i, day, shared }
    // While Redis was asked, HighLevel may have refused a call, or others may have gone without Redis.
    const isFree =
      at >= location.pausedUntil && freeSlots(location) > 0 && usedOf(location.windowLog) < burstLimit(location)
    const waiter = isFree ? line.shift() : undefined
    if (waiter === undefined) {
      giveBack(deps, location, place)
      returned += 1
    } else {
      reserve(location)
      waiter.give(place)
    }
  }
  location.elsewhere = Math.max(0, given.used - returned - usedOf(location.windowLog))
  location.elsewhereAt = at
}

/** Of a place that nobody was sent from. */
function giveBack(deps: SchedulerDeps, location: LocationQuota, { shared, day }: Required<Permit>): void {
  if (day === location.day) location.taken -= 1
  location.freeFrom = 0
  deps.shared?.settle(location.id, shared, false, { windowMs: windowOf(location), day })
}
