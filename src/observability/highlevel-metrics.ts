import { Counter, Gauge, type Registry } from 'prom-client'
import type { Scope } from '../highlevel/breaker/guard.ts'
import type { RetryReason } from '../highlevel/retry.ts'
import type { UnavailableReason } from '../schemas/schema-unavailable.ts'

/** What is only read when it is asked for. */
export interface Gauges {
  callsUnderWay: number
  callsInLine: number
  /** Calls of all locations are held back, and of how many single ones. */
  circuit: { isOpen: boolean; locations: number }
  /** `undefined` where limits are not shared. */
  redisIsUp: boolean | undefined
}

/** What happens between a call and HighLevel: lines, quotas, repeats, circuits. */
export function createUpstreamMetrics(registry: Registry) {
  const registers = [registry]
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers })

  const retries = counter('gateway_retries_total', 'Attempts that were repeated, by what became of them', 'reason')
  const refusals = counter('gateway_quota_refusals_total', 'Answers of HighLevel that a quota is used up')
  const lows = counter('gateway_day_low_total', 'Locations with at most this share of the day’s calls left', 'left')
  const circuits = counter('gateway_circuit_changes_total', 'Circuits that opened or closed', 'scope', 'state')
  const schemaReads = counter('gateway_schema_reads_total', 'Reads of objects and their fields', 'result')
  const foreign = counter('gateway_foreign_answers_total', 'Answers of HighLevel that belonged to another call')
  const unchecked = counter('gateway_unchecked_writes_total', 'Writes to objects whose fields are not known', 'why')

  return {
    countSchemaRead: (result: 'read' | UnavailableReason) => schemaReads.inc({ result }),
    /** A write that is not checked, for want of a schema. */
    countUnchecked: (why: UnavailableReason) => unchecked.inc({ why }),
    countRetry: (reason: RetryReason) => retries.inc({ reason }),
    countForeign: () => foreign.inc(),
    countRefusal: () => refusals.inc(),
    /** `share` is 0.2 or 0.05. */
    countLow: (share: number) => lows.inc({ left: `${share * 100}%` }),
    countCircuit: (scope: Scope, state: string) => circuits.inc({ scope, state })
  }
}

/** What holds at the moment of a scrape: `read` is asked then. */
export function registerGauges(registry: Registry, read: () => Gauges): void {
  const gauge = (name: string, help: string, value: (gauges: Gauges) => number | undefined) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        const now = value(read())
        if (now === undefined) this.remove()
        else this.set(now)
      }
    })
  gauge('gateway_calls_under_way', 'Record calls that are not yet answered', ({ callsUnderWay }) => callsUnderWay)
  gauge(
    'gateway_calls_in_line',
    'Record calls that wait for the quota of their location',
    ({ callsInLine }) => callsInLine
  )
  gauge('gateway_circuit_open', '1 while calls of all locations are held back', ({ circuit }) => Number(circuit.isOpen))
  gauge(
    'gateway_location_circuits_open',
    'Locations whose calls alone are held back',
    ({ circuit }) => circuit.locations
  )
  gauge('gateway_redis_up', '1 while Redis answers, 0 while it does not; nothing without REDIS_URL', ({ redisIsUp }) =>
    redisIsUp === undefined ? undefined : Number(redisIsUp)
  )
}
