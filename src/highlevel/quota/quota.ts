import type { Clock } from '../../shared/clock.ts'
import type { Breaker } from '../breaker/breaker.ts'
import type { Layer, LocationCall } from '../call.ts'
import { closingProblem } from '../deadline.ts'
import { dayLeft, untilDayEndMs } from './day-quota.ts'
import { learn } from './learned-limits.ts'
import type { Permit } from './limits.ts'
import type { SchedulerDeps } from './local-window.ts'
import { burstLeft, burstResetMs, createLocationQuota, type LocationQuota } from './location-quota.ts'
import { acquire, rejectAll, release } from './scheduler.ts'

/** The shares of the day's calls at which a warning is logged, lowest first. */
const LOW_SHARES = [0.05, 0.2] as const
/** Idle locations are dropped after this. The first answer to their next call restores what was learned. */
const IDLE_MS = 3_600_000

interface Deps extends SchedulerDeps {
  log: { warn(record: object, message: string): void }
  /** Counts a location that is running low on its day quota: at most this share is left. */
  countLow: (share: (typeof LOW_SHARES)[number]) => void
  /** Counts a 429 from HighLevel. */
  countRefusal: () => void
  /**
   * Told of each call that is sent and of its outcome. Not a layer of its own, since each layer costs every call time.
   */
  circuit: Pick<Breaker, 'begin' | 'end'>
}

/** What is left of a location's quota, for the RateLimit headers. */
export interface QuotaReport {
  burstMax: number
  windowMs: number
  burstLeft: number
  burstResetMs: number
  dayMax: number
  dayLeft: number
  dayResetMs: number
}

async function timed(permit: Promise<Permit>, { callRecord }: LocationCall, clock: Clock): Promise<Permit> {
  const since = clock.monotonic()
  try {
    return await permit
  } finally {
    callRecord.queueMs += clock.monotonic() - since
  }
}

/** Keeps the calls of each location within HighLevel's quota, and lets them use all of it. */
export function createQuota({ log, countLow, countRefusal, circuit, ...deps }: Deps) {
  const { clock } = deps
  const locations = new Map<string, LocationQuota>()
  let isClosed = false

  const locationOf = (id: string, at: number): LocationQuota => {
    const location = locations.get(id) ?? createLocationQuota(id, deps.limits)
    if (location.lastUsedAt === 0) locations.set(id, location)
    location.lastUsedAt = at
    return location
  }

  const warnIfLow = (location: LocationQuota) => {
    const share = dayLeft(location) / location.dayMax
    const lowShare = LOW_SHARES.find((low) => share <= low)
    if (lowShare === undefined || location.warnedShare <= lowShare) return
    location.warnedShare = lowShare
    countLow(lowShare)
    const left = Math.max(0, dayLeft(location))
    log.warn({ location: location.id, left, of: location.dayMax }, 'a location is running low on its daily quota')
  }

  const layer: Layer<LocationCall> = (next) => async (call) => {
    if (isClosed) throw closingProblem()
    const location = locationOf(call.locationId, clock.monotonic())
    const acquired = acquire(deps, location, call, location.lastUsedAt)
    const permit = acquired instanceof Promise ? await timed(acquired, call, clock) : acquired
    const refusal = circuit.begin(call)
    if (refusal !== undefined) {
      release(deps, location, permit, false, clock.monotonic())
      throw refusal
    }

    let outcome: unknown
    let isCounted = false
    let at = 0
    try {
      const answer = await next(call)
      at = clock.monotonic()
      outcome = answer
      // HighLevel does not count a call that it answers with 429.
      isCounted = answer.status !== 429
      if (!isCounted) countRefusal()
      // More permits than before: the time that Redis named was computed with fewer.
      if (learn(location, permit, answer, at, clock.now())) location.nextFreeAt = 0
      warnIfLow(location)
      return answer
    } catch (error) {
      at = clock.monotonic()
      outcome = error
      isCounted = call.isSent
      throw error
    } finally {
      circuit.end(call, outcome, at)
      release(deps, location, permit, isCounted, at)
    }
  }

  const dropIdle = () => {
    const before = clock.monotonic() - IDLE_MS
    for (const { id, lastUsedAt, inFlight, queue } of locations.values()) {
      if (lastUsedAt < before && inFlight === 0 && (queue?.size ?? 0) === 0) locations.delete(id)
    }
  }
  const idleTimer = clock.every(IDLE_MS, dropIdle).unref()

  return {
    layer,

    /** `undefined` for a location without recent calls. */
    report(locationId: string): QuotaReport | undefined {
      const location = locations.get(locationId)
      if (location === undefined) return undefined
      const at = clock.monotonic()
      return {
        burstMax: location.burstMax,
        windowMs: location.windowMs,
        burstLeft: burstLeft(location, at),
        burstResetMs: burstResetMs(location, at),
        dayMax: location.dayMax,
        dayLeft: Math.max(0, dayLeft(location)),
        dayResetMs: untilDayEndMs(clock.now(), location.dayEndsAt)
      }
    },

    /** How many calls are waiting, over all locations. */
    waiting(): number {
      let count = 0
      for (const { queue } of locations.values()) count += queue?.size ?? 0
      return count
    },

    /** Sends no further calls, and rejects the waiting ones. */
    close(): void {
      isClosed = true
      clock.cancel(idleTimer)
      for (const location of locations.values()) rejectAll(deps, location, closingProblem)
    }
  }
}
