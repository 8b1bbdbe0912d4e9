/** `lost`: nothing came, or what stands before HighLevel answered in its place. `failed`: an error of HighLevel's own. */
export type Failure = 'lost' | 'failed'
export type Verdict = 'upstream' | 'location' | undefined

/** How far back failures and successes count. */
const WINDOW_MS = 5_000
const FEWEST_FAILURES = 10

interface Record {
  lost: number
  failed: number
  succeeded: number
}

/** Repeats get through where less than this fails. */
const FAILING_SHARE = 0.75

const fails = ({ lost, failed, succeeded }: Record) => lost + failed >= FAILING_SHARE * (lost + failed + succeeded)

const sum = (a: Record, b: Record): Record => ({
  lost: a.lost + b.lost,
  failed: a.failed + b.failed,
  succeeded: a.succeeded + b.succeeded
})

/**
 * How the calls of each location have gone since something began to go wrong. Nothing is kept while all goes well.
 * Times are on the clock of `performance.now()`.
 */
export function createBreakerStats() {
  const records = new Map<string, Record>()
  let since = Number.NEGATIVE_INFINITY
  let failures = 0

  const recordOf = (locationId: string): Record => {
    const record = records.get(locationId) ?? { lost: 0, failed: 0, succeeded: 0 }
    records.set(locationId, record)
    return record
  }

  const forget = () => {
    records.clear()
    failures = 0
  }

  return {
    succeeded(locationId: string, at: number): void {
      if (failures === 0) return
      if (at - since > WINDOW_MS) forget()
      else recordOf(locationId).succeeded += 1
    },

    /** What is to be held back after this failure. */
    failed(locationId: string, failure: Failure, at: number): Verdict {
      if (at - since > WINDOW_MS) forget()
      if (failures === 0) since = at
      failures += 1
      const own = recordOf(locationId)
      own[failure] += 1

      if (failures < FEWEST_FAILURES) return undefined
      const all = [...records.values()]
      const failing = all.filter(fails).length
      if (failing > 1 && failing * 2 > all.length && fails(all.reduce(sum))) return 'upstream'
      return own.lost >= FEWEST_FAILURES && fails(own) ? 'location' : undefined
    }
  }
}
