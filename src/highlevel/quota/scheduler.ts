import { Problem } from '../../problems/problem.ts'
import { isGone, type LocationCall } from '../call.ts'
import { hungUp } from '../deadline.ts'
import { dayHasRoom, dayLeft, turnDay } from './day.ts'
import { createLine, type Line } from './fair-queue.ts'
import { burstLimit, forgetOthers, type Place, weighEvidence } from './learned-limits.ts'
import { hopedLimit, limitOf, nextAt, type PlacesDeps, takeHere } from './local-window.ts'
import { type Location, mayGo, occupy, placeInMs, vacate, windowOf } from './location-quota.ts'
import { burstProblem, dayProblem, lineProblem, slowProblem } from './problems.ts'
import { createWaiter, type Waiter } from './queue-entry.ts'
import type { GivenPlaces, SharedPlaces } from './redis-window.ts'
import { forget, usedOf } from './window-log.ts'

/** Of a shared window at most this share is asked for at once, so that a process that waits takes turns with others. */
const CHUNK_SHARE = 0.1

/** A place to send this call from: at once, or when its turn has come. Throws or rejects with a Problem. */
export function enter(deps: PlacesDeps, location: Location, call: LocationCall, at: number): Place | Promise<Place> {
  turnDay(location, deps.now())
  if (!dayHasRoom(location, at)) throw dayProblem(deps.now(), location.dayEndsAt)
  if (location.line === undefined || location.line.size === 0) {
    const place = deps.shared?.isUp() ? undefined : takeHere(deps, location, at)
    if (place !== undefined) return place
  }
  return wait(deps, location, call, at)
}

/** Gives a place back; `isCounted` where HighLevel may have counted the call. */
export function leave(deps: PlacesDeps, location: Location, place: Place, isCounted: boolean, at: number): void {
  vacate(location, place, isCounted, at)
  if (!location.isShared) weighEvidence(location, at)
  if (place.shared !== undefined)
    deps.shared?.settle(location.id, place.shared, isCounted, { windowMs: windowOf(location), day: place.day })
  if (location.line !== undefined && location.line.size > 0) pump(deps, location)
}

/** Whoever waits is answered with a problem. */
export function refuseAll(location: Location, problem: () => Problem): void {
  clearTimeout(location.timer)
  for (const waiter of location.line?.clear() ?? []) waiter.refuse(problem())
}

function wait(deps: PlacesDeps, location: Location, call: LocationCall, at: number): Promise<Place> {
  location.line ??= createLine()
  const { line } = location
  const { id: callerId } = call.waiting
  if (at >= call.deadlineAt) throw slowProblem()
  const limit = hopedLimit(deps, location, at)
  const ms = placeInMs(location, limit, call.isRepeat ? 0 : line.ahead(callerId), at)
  if (at + ms > call.deadlineAt) throw burstProblem(ms)
  if (isGone(call.waiting)) throw hungUp()
  // Those for whom there is quota wait for the wire alone.
  const room = deps.queueMax + Math.max(0, limit - usedOf(location.spent))
  if (!call.isRepeat && line.size >= room) {
    const last = line.makeRoom(callerId)
    if (last === undefined) throw lineProblem(ms)
    last.refuse(lineProblem(ms))
  }

  const late = () => {
    const lateAt = performance.now()
    const lateMs = placeInMs(location, limitOf(deps, location, lateAt), line.ahead(callerId), lateAt)
    return lateMs > 0 ? burstProblem(lateMs) : slowProblem()
  }
  const { waiter, place } = createWaiter(call, { remove: line.remove, late })
  if (call.isRepeat) line.unshift(waiter)
  else line.push(waiter)
  pump(deps, location)
  return place
}

/** Lets go whoever can go. */
export function pump(deps: PlacesDeps, location: Location): void {
  const { line } = location
  if (line === undefined || line.size === 0) return
  const at = performance.now()
  turnDay(location, deps.now())
  if (!dayHasRoom(location, at)) refuseAll(location, () => dayProblem(deps.now(), location.dayEndsAt))
  else if (deps.shared?.isUp()) {
    ask(deps, deps.shared, location, line, at).catch((cause: unknown) => {
      refuseAll(location, () => new Problem('internal', 'Something failed inside the gateway', { cause }))
    })
  } else letGo(deps, location, line, at)
}

function letGo(deps: PlacesDeps, location: Location, line: Line<Waiter>, at: number): void {
  while (line.size > 0 && dayHasRoom(location, at)) {
    const place = takeHere(deps, location, at)
    if (place === undefined) break
    line.shift()?.give(place)
  }
  if (line.size > 0 && !dayHasRoom(location, at)) refuseAll(location, () => dayProblem(deps.now(), location.dayEndsAt))
  else if (line.size > 0) wakeAt(deps, location, nextAt(deps, location, at), at)
}

function wakeAt(deps: PlacesDeps, location: Location, when: number | undefined, at: number): void {
  clearTimeout(location.timer)
  if (when !== undefined) location.timer = setTimeout(() => pump(deps, location), Math.max(1, when - at))
}

/** Asks Redis for places for those who wait. */
async function ask(
  deps: PlacesDeps,
  shared: SharedPlaces,
  location: Location,
  line: Line<Waiter>,
  at: number
): Promise<void> {
  if (location.isAsking) return
  const freeFrom = Math.max(location.pausedUntil, location.freeFrom)
  const limit = burstLimit(location)
  forget(location.spent, windowOf(location), at)
  // Redis may have lost what it knew: this process's own count holds all the same.
  const own = limit - usedOf(location.spent)
  const chunk = Math.max(1, Math.ceil(limit * CHUNK_SHARE))
  const want = Math.min(line.size, mayGo(location), chunk, own, Math.max(1, dayLeft(location)))
  if (at < freeFrom || want <= 0) {
    wakeAt(deps, location, at < freeFrom ? freeFrom : nextAt(deps, location, at), at)
    return
  }

  const { day } = location
  location.isAsking = true
  try {
    const given = await shared.take(location.id, { want, limit, windowMs: windowOf(location), day })
    if (given !== undefined) hand(deps, location, line, given, day)
  } finally {
    location.isAsking = false
  }
  pump(deps, location)
}

/**
 * What is taken of the day, after Redis gave these places. It may have lost what it counted: counted anew, the calls that
 * HighLevel goes on counting would look like others', and be left to them for two windows.
 */
function takenOf(location: Location, given: GivenPlaces): number {
  if (location.forgottenOn !== location.day) Object.assign(location, { forgotten: 0, forgottenOn: location.day })
  const before = given.taken - given.names.length + location.forgotten
  location.forgotten += Math.max(0, location.taken - before)
  return given.taken + location.forgotten
}

function hand(deps: PlacesDeps, location: Location, line: Line<Waiter>, given: GivenPlaces, day: number): void {
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
    weighEvidence(location, at)
  }
  const last = given.names.length - 1
  const { taken } = location
  let returned = 0
  for (const [i, shared] of given.names.entries()) {
    const used = Math.max(given.used - last + i, usedOf(location.spent) + 1)
    const place = { used, taken: taken - last + i, day, shared }
    // While Redis was asked, HighLevel may have refused a call, or others may have gone without Redis.
    const isFree = at >= location.pausedUntil && mayGo(location) > 0 && usedOf(location.spent) < burstLimit(location)
    const waiter = isFree ? line.shift() : undefined
    if (waiter === undefined) {
      giveBack(deps, location, place)
      returned += 1
    } else {
      occupy(location)
      waiter.give(place)
    }
  }
  location.elsewhere = Math.max(0, given.used - returned - usedOf(location.spent))
  location.elsewhereAt = at
}

/** Of a place that nobody was sent from. */
function giveBack(deps: PlacesDeps, location: Location, { shared, day }: Required<Place>): void {
  if (day === location.day) location.taken -= 1
  location.freeFrom = 0
  deps.shared?.settle(location.id, shared, false, { windowMs: windowOf(location), day })
}
