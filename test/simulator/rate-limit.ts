import type { Settings } from './settings.ts'

const DAY_MS = 86_400_000

interface Bucket {
  /** Times of accepted requests. */
  spent: Window
  /** Times of all requests, with rejected ones. */
  arrivals: Window
  peak: number
  day: number
  spentToday: number
}

type Window = ReturnType<typeof createWindow>

/** Timestamps in a sliding window, oldest first. Expired ones are removed in batches: cheaper than one by one. */
function createWindow(windowMs: number) {
  let times: number[] = []
  let head = 0

  return {
    add(at: number): void {
      times.push(at)
    },
    count(at: number): number {
      while ((times[head] ?? at) <= at - windowMs) head += 1
      if (head > 1_000) {
        times = times.slice(head)
        head = 0
      }
      return times.length - head
    }
  }
}

function createBucket(windowMs: number): Bucket {
  return { spent: createWindow(windowMs), arrivals: createWindow(windowMs), peak: 0, day: 0, spentToday: 0 }
}

/** HighLevel's rate limits, per location: a burst limit in a sliding window, and a limit per day. */
export function createRateLimit(settings: Settings) {
  const buckets = new Map<string, Bucket>()

  function bucketOf(locationId: string, now: number): Bucket {
    const bucket = buckets.get(locationId) ?? createBucket(settings.burstWindowMs)
    buckets.set(locationId, bucket)
    const day = Math.floor((now - settings.dayStartsMs) / DAY_MS)
    if (bucket.day !== day) Object.assign(bucket, { day, spentToday: 0 })
    return bucket
  }

  const dayLeftMs = (now: number) => DAY_MS - ((now - settings.dayStartsMs + DAY_MS) % DAY_MS)

  /** The headers that say when to retry, in the configured form. */
  const retryAfter = (ms: number, now: number): Record<string, string> => {
    if (settings.retryAfter === 'none') return {}
    if (settings.retryAfter === 'seconds') return { 'Retry-After': String(Math.ceil(ms / 1_000)) }
    return { Date: new Date(now).toUTCString(), 'Retry-After': new Date(now + ms).toUTCString() }
  }

  return {
    /** Counts a request. Returns false if it exceeds a limit; it then uses no quota. */
    spend(locationId: string): boolean {
      const now = settings.now()
      const bucket = bucketOf(locationId, now)
      bucket.arrivals.add(now)
      bucket.peak = Math.max(bucket.peak, bucket.arrivals.count(now))
      if (bucket.spent.count(now) >= settings.burstMax || bucket.spentToday >= settings.dailyMax) return false
      bucket.spent.add(now)
      bucket.spentToday += 1
      return true
    },
    headers(locationId: string, isRefused: boolean): Record<string, string> {
      const now = settings.now()
      const { spent, spentToday } = bucketOf(locationId, now)
      return {
        'X-RateLimit-Limit-Daily': String(settings.dailyMax),
        'X-RateLimit-Daily-Remaining': String(Math.max(0, settings.dailyMax - spentToday)),
        // Undocumented, but HighLevel sends it.
        'X-RateLimit-Daily-Reset': String(dayLeftMs(now)),
        'X-RateLimit-Interval-Milliseconds': String(settings.burstWindowMs),
        'X-RateLimit-Max': String(settings.burstMax),
        'X-RateLimit-Remaining': String(Math.max(0, settings.burstMax - spent.count(now))),
        ...(isRefused && retryAfter(spentToday >= settings.dailyMax ? dayLeftMs(now) : settings.burstWindowMs, now))
      }
    },
    /** The highest number of requests in any window so far. */
    peak: (locationId: string): number => buckets.get(locationId)?.peak ?? 0
  }
}
