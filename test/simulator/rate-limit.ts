import type { Settings } from './settings.ts'

const DAY_MS = 86_400_000

interface Bucket {
  /** Times of the requests that were let through. */
  spent: Window
  /** Times of all requests, refused ones included: what a caller really sent. */
  arrivals: Window
  peak: number
  day: number
  spentToday: number
}

type Window = ReturnType<typeof createWindow>

/** Times within a sliding window, oldest first. Dropping them is amortised: an array shifts only now and then. */
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

/** HighLevel's limits of one app: a burst in a sliding window and a day, each location by itself. */
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

  /** When to come again, in the form that is set. */
  const retryAfter = (ms: number, now: number): Record<string, string> => {
    if (settings.retryAfter === 'none') return {}
    if (settings.retryAfter === 'seconds') return { 'Retry-After': String(Math.ceil(ms / 1_000)) }
    return { Date: new Date(now).toUTCString(), 'Retry-After': new Date(now + ms).toUTCString() }
  }

  return {
    /** Counts a request. False means that it is over a limit; such a request spends nothing. */
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
        // Not documented, and sent.
        'X-RateLimit-Daily-Reset': String(dayLeftMs(now)),
        'X-RateLimit-Interval-Milliseconds': String(settings.burstWindowMs),
        'X-RateLimit-Max': String(settings.burstMax),
        'X-RateLimit-Remaining': String(Math.max(0, settings.burstMax - spent.count(now))),
        ...(isRefused && retryAfter(spentToday >= settings.dailyMax ? dayLeftMs(now) : settings.burstWindowMs, now))
      }
    },
    /** The most requests that arrived in any one window so far. */
    peak: (locationId: string): number => buckets.get(locationId)?.peak ?? 0
  }
}
