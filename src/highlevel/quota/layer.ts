import type { Breaker } from '../breaker/guard.ts'
import type { Layer, LocationCall } from '../call.ts'
import { closingProblem } from '../deadline.ts'
import { dayLeft, untilDayEndMs } from './day.ts'
import { learn } from './learned-limits.ts'
import type { Permit } from './limits.ts'
import type { SchedulerDeps } from './local-window.ts'
import { burstLeft, burstResetMs, createLocationQuota, type LocationQuota } from './location-quota.ts'
import { acquire, refuseAll, release } from './scheduler.ts'

/** The share of the day's calls at which an operator is told that they run low, lowest first. */
const LOW_WATER = [0.05, 0.2] as const
/** What is not used for so long is forgotten: the first answer to the next call says what it has to know. */
const IDLE_MS = 3_600_000

interface Deps extends SchedulerDeps {
  log: { warn(record: object, message: string): void }
  /** Counts a location whose day runs low: at most this share of it is left. */
  countLow: (share: (typeof LOW_WATER)[number]) => void
  /** Counts an answer 429 of HighLevel's. */
  countRefusal: () => void
  /** Told of each call that is sent, and of what came of it. Not a layer of its own: each layer costs every call. */
  circuit: Pick<Breaker, 'begin' | 'end'>
}

/** What is left of a location's quota, for the RateLimit fields; times in milliseconds. */
export interface QuotaReport {
  burstMax: number
  windowMs: number
  burstLeft: number
  burstResetMs: number
  dayMax: number
  dayLeft: number
  dayResetMs: number
}

async function inLine(turn: Promise<Permit>, { callRecord }: LocationCall): Promise<Permit> {
  const since = performance.now()
  try {
    return await turn
  } finally {
    callRecord.queueMs += performance.now() - since
  }
}

/** Keeps each location's calls within what HighLevel allows it, and lets it use all of that. */
export function createQuota({ log, countLow, countRefusal, circuit, ...deps }: Deps) {
  const locations = new Map<string, LocationQuota>()
  let isClosed = false

  const locationOf = (id: string, at: number): LocationQuota => {
    const location = locations.get(id) ?? createLocationQuota(id, deps.limits)
    if (location.seenAt === 0) locations.set(id, location)
    location.seenAt = at
    return location
  }

  const watchDay = (location: LocationQuota) => {
    const share = dayLeft(location) / location.dayMax
    const mark = LOW_WATER.find((low) => share <= low)
    if (mark === undefined || location.lowMark <= mark) return
    location.lowMark = mark
    countLow(mark)
    const left = Math.max(0, dayLeft(location))
    log.warn({ location: location.id, left, of: location.dayMax }, 'a location has few of its calls of today left')
  }

  const layer: Layer<LocationCall> = (next) => async (call) => {
    if (isClosed) throw closingProblem()
    const location = locationOf(call.locationId, performance.now())
    const entered = acquire(deps, location, call, location.seenAt)
    const place = entered instanceof Promise ? await inLine(entered, call) : entered
    const refusal = circuit.begin(call)
    if (refusal !== undefined) {
      release(deps, location, place, false, performance.now())
      throw refusal
    }

    let outcome: unknown
    let isCounted = false
    let at = 0
    try {
      const answer = await next(call)
      at = performance.now()
      outcome = answer
      // A call that HighLevel refuses takes no place there.
      isCounted = answer.status !== 429
      if (!isCounted) countRefusal()
      // Redis said when there is a place again by the smaller number of them.
      if (learn(location, place, answer, at, deps.now())) location.freeFrom = 0
      watchDay(location)
      return answer
    } catch (error) {
      at = performance.now()
      outcome = error
      isCounted = call.isSent
      throw error
    } finally {
      circuit.end(call, outcome, at)
      release(deps, location, place, isCounted, at)
    }
  }

  const sweep = setInterval(() => {
    const before = performance.now() - IDLE_MS
    for (const { id, seenAt, inFlight, queue } of locations.values()) {
      if (seenAt < before && inFlight === 0 && (queue?.size ?? 0) === 0) locations.delete(id)
    }
  }, IDLE_MS).unref()

  return {
    layer,

    /** `undefined` for a location that has not been called lately. */
    report(locationId: string): QuotaReport | undefined {
      const location = locations.get(locationId)
      if (location === undefined) return undefined
      const at = performance.now()
      return {
        burstMax: location.burstMax,
        windowMs: location.windowMs,
        burstLeft: burstLeft(location, at),
        burstResetMs: burstResetMs(location, at),
        dayMax: location.dayMax,
        dayLeft: Math.max(0, dayLeft(location)),
        dayResetMs: untilDayEndMs(deps.now(), location.dayEndsAt)
      }
    },

    /** How many calls wait, over all locations. */
    waiting(): number {
      let count = 0
      for (const { queue } of locations.values()) count += queue?.size ?? 0
      return count
    },

    /** Nobody is let go any more: whoever waits is told to go elsewhere. */
    close(): void {
      isClosed = true
      clearInterval(sweep)
      for (const location of locations.values()) refuseAll(location, closingProblem)
    }
  }
}

export type Quota = ReturnType<typeof createQuota>
