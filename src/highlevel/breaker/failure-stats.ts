/** `lost`: no answer, or one of a proxy in front of HighLevel. `failed`: HighLevel's own error. */
export type Failure = 'lost' | 'failed'
/** What to open the circuit for. */
export type Verdict = 'upstream' | 'location' | undefined

/** How long failures and successes count. */
const WINDOW_MS = 5_000
const MIN_FAILURES = 10

/** Below this share of failures, retries get through. */
const FAILING_SHARE = 0.75

interface Counts {
  lost: number
  failed: number
  succeeded: number
}

const isFailing = ({ lost, failed, succeeded }: Counts) => lost + failed >= FAILING_SHARE * (lost + failed + succeeded)

const sum = (a: Counts, b: Counts): Counts => ({
  lost: a.lost + b.lost,
  failed: a.failed + b.failed,
  succeeded: a.succeeded + b.succeeded
})

/**
 * Counts the failures and successes of each location, from the first failure on. While nothing fails, nothing is kept.
 * Times are on the monotonic clock.
 */
export function createBreakerStats() {
  const locations = new Map<string, Counts>()
  let since = Number.NEGATIVE_INFINITY
  let failures = 0

  const countsOf = (locationId: string): Counts => {
    const counts = locations.get(locationId) ?? { lost: 0, failed: 0, succeeded: 0 }
    locations.set(locationId, counts)
    return counts
  }

  const reset = () => {
    locations.clear()
    failures = 0
  }

  return {
    succeeded(locationId: string, at: number): void {
      if (failures === 0) return
      if (at - since > WINDOW_MS) reset()
      else countsOf(locationId).succeeded += 1
    },

    failed(locationId: string, failure: Failure, at: number): Verdict {
      if (at - since > WINDOW_MS) reset()
      if (failures === 0) since = at
      failures += 1
      const own = countsOf(locationId)
      own[failure] += 1

      if (failures < MIN_FAILURES) return undefined
      const all = [...locations.values()]
      const failing = all.filter(isFailing).length
      if (failing > 1 && failing * 2 > all.length && isFailing(all.reduce(sum))) return 'upstream'
      return own.lost >= MIN_FAILURES && isFailing(own) ? 'location' : undefined
    }
  }
}
