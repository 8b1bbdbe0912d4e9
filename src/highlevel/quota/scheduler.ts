import { Problem } from '../../problems/problem.ts'
import { hasHungUp, type LocationCall } from '../call.ts'
import { hangUpProblem } from '../deadline.ts'
import { dayHasRoom, dayLeft, rollOverDay } from './day-quota.ts'
import { dispatchGranted } from './dispatch-granted.ts'
import { createFairQueue, type FairQueue } from './fair-queue.ts'
import { burstLimit, updateOthersUsage } from './learned-limits.ts'
import type { Permit } from './limits.ts'
import { localLimit, nextLocalPermitAt, optimisticLimit, type SchedulerDeps, takeLocally } from './local-window.ts'
import { free, freeSlots, type LocationQuota, msUntilPermit, paddedWindowMs } from './location-quota.ts'
import { createQueueEntry, type QueueEntry } from './queue-entry.ts'
import { burstProblem, dayProblem, deadlineProblem, queueFullProblem } from './quota-problems.ts'
import type { RedisWindow } from './redis-window.ts'
import { dropExpired, usedOf } from './window-log.ts'

/** The share of a Redis window that is requested at once: processes with waiting calls take turns. */
const CHUNK_SHARE = 0.1

/** A permit for this call: at once, or a promise of it. Throws or rejects with a Problem. */
export function acquire(
  deps: SchedulerDeps,
  location: LocationQuota,
  call: LocationCall,
  at: number
): Permit | Promise<Permit> {
  rollOverDay(location, deps.clock.now())
  if (!dayHasRoom(location, at)) throw dayProblem(deps.clock.now(), location.dayEndsAt)
  if (location.queue === undefined || location.queue.size === 0) {
    const permit = deps.shared?.isUp() ? undefined : takeLocally(deps, location, at)
    if (permit !== undefined) return permit
  }
  return enqueue(deps, location, call, at)
}

/** Returns a permit after its call has ended. `isCounted`: HighLevel may have counted the call. */
export function release(
  deps: SchedulerDeps,
  location: LocationQuota,
  permit: Permit,
  isCounted: boolean,
  at: number
): void {
  free(location, permit, isCounted, at)
  if (!location.isFromRedis) updateOthersUsage(location, at)
  if (permit.sharedId !== undefined)
    deps.shared?.release(location.id, permit.sharedId, isCounted, {
      windowMs: paddedWindowMs(location),
      day: permit.day
    })
  if (location.queue !== undefined && location.queue.size > 0) dispatch(deps, location)
}

/** Rejects every waiting call with the problem. */
export function rejectAll({ clock }: SchedulerDeps, location: LocationQuota, problem: () => Problem): void {
  clock.cancel(location.dispatchTimer)
  for (const entry of location.queue?.clear() ?? []) entry.reject(problem())
}

function enqueue(deps: SchedulerDeps, location: LocationQuota, call: LocationCall, at: number): Promise<Permit> {
  location.queue ??= createFairQueue()
  const { queue } = location
  const { id: callerId } = call.caller
  if (at >= call.deadlineAt) throw deadlineProblem()
  const limit = optimisticLimit(deps, location, at)
  const ms = msUntilPermit(location, limit, call.isRepeat ? 0 : queue.ahead(callerId), at)
  if (at + ms > call.deadlineAt) throw burstProblem(ms)
  if (hasHungUp(call.caller)) throw hangUpProblem()
  // Calls for which there is quota wait for a free slot only: they do not count against the queue's bound.
  const max = deps.queueMax + Math.max(0, limit - usedOf(location.windowLog))
  if (!call.isRepeat && queue.size >= max) {
    const displaced = queue.makeRoom(callerId)
    if (displaced === undefined) throw queueFullProblem(ms)
    displaced.reject(queueFullProblem(ms))
  }

  const lateProblem = () => {
    const lateAt = deps.clock.monotonic()
    const lateMs = msUntilPermit(location, localLimit(deps, location, lateAt), queue.ahead(callerId), lateAt)
    return lateMs > 0 ? burstProblem(lateMs) : deadlineProblem()
  }
  const { entry, permit } = createQueueEntry(deps.clock, call, { remove: queue.remove, deadlineProblem: lateProblem })
  if (call.isRepeat) queue.unshift(entry)
  else queue.push(entry)
  dispatch(deps, location)
  return permit
}

/** Gives permits to as many waiting calls as there are permits for. */
function dispatch(deps: SchedulerDeps, location: LocationQuota): void {
  const { queue } = location
  if (queue === undefined || queue.size === 0) return
  const at = deps.clock.monotonic()
  rollOverDay(location, deps.clock.now())
  if (!dayHasRoom(location, at)) rejectAll(deps, location, () => dayProblem(deps.clock.now(), location.dayEndsAt))
  else if (deps.shared?.isUp()) {
    dispatchFromRedis(deps, deps.shared, location, queue, at).catch((cause: unknown) => {
      rejectAll(deps, location, () => new Problem('internal', 'The gateway failed to handle the request', { cause }))
    })
  } else dispatchLocally(deps, location, queue, at)
}

function dispatchLocally(deps: SchedulerDeps, location: LocationQuota, queue: FairQueue<QueueEntry>, at: number): void {
  while (queue.size > 0 && dayHasRoom(location, at)) {
    const permit = takeLocally(deps, location, at)
    if (permit === undefined) break
    queue.shift()?.resolve(permit)
  }
  if (queue.size > 0 && !dayHasRoom(location, at))
    rejectAll(deps, location, () => dayProblem(deps.clock.now(), location.dayEndsAt))
  else if (queue.size > 0) scheduleDispatch(deps, location, nextLocalPermitAt(deps, location, at), at)
}

function scheduleDispatch(deps: SchedulerDeps, location: LocationQuota, when: number | undefined, at: number): void {
  const { clock } = deps
  clock.cancel(location.dispatchTimer)
  if (when === undefined) return
  location.dispatchTimer = clock.after(Math.max(1, when - at), () => dispatch(deps, location))
}

async function dispatchFromRedis(
  deps: SchedulerDeps,
  shared: RedisWindow,
  location: LocationQuota,
  queue: FairQueue<QueueEntry>,
  at: number
): Promise<void> {
  if (location.isAskingRedis) return
  const nextFreeAt = Math.max(location.pausedUntil, location.nextFreeAt)
  const limit = burstLimit(location)
  dropExpired(location.windowLog, paddedWindowMs(location), at)
  // Redis may have lost its count: this process's own count is a bound nevertheless.
  const ownLeft = limit - usedOf(location.windowLog)
  const chunk = Math.max(1, Math.ceil(limit * CHUNK_SHARE))
  const want = Math.min(queue.size, freeSlots(location), chunk, ownLeft, Math.max(1, dayLeft(location)))
  if (at < nextFreeAt || want <= 0) {
    scheduleDispatch(deps, location, at < nextFreeAt ? nextFreeAt : nextLocalPermitAt(deps, location, at), at)
    return
  }

  const { day } = location
  location.isAskingRedis = true
  try {
    const granted = await shared.acquire(location.id, { want, limit, windowMs: paddedWindowMs(location), day })
    if (granted !== undefined) dispatchGranted(shared, location, queue, granted, day, deps.clock.monotonic())
  } finally {
    location.isAskingRedis = false
  }
  dispatch(deps, location)
}
