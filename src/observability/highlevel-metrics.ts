import { Counter, Gauge, type Registry } from 'prom-client'
import type { Scope } from '../highlevel/breaker/breaker.ts'
import type { RetryReason } from '../highlevel/retry.ts'
import type { UnavailableReason } from '../schemas/schema-unavailable.ts'

/** Values that are read at each scrape. */
export interface Gauges {
  callsInFlight: number
  callsQueued: number
  /** Whether the circuit of all locations is open, and how many single locations have an open one. */
  circuit: { isOpen: boolean; locations: number }
  /** `undefined` without Redis. */
  redisIsUp: boolean | undefined
}

/** Counts retries, quota rejections, circuits and other events between a call and HighLevel. */
export function createHighLevelMetrics(registry: Registry) {
  const registers = [registry]
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers })

  const retries = counter('gateway_retries_total', 'Repeated attempts, by the reason', 'reason')
  const quotaRejections = counter(
    'gateway_quota_refusals_total',
    'Calls that HighLevel rejected because a quota is used up'
  )
  const dayLows = counter('gateway_day_low_total', 'Locations with at most this share of their day quota left', 'left')
  const circuits = counter('gateway_circuit_changes_total', 'Circuit state changes', 'scope', 'state')
  const schemaReads = counter('gateway_schema_reads_total', 'Reads of objects and their fields', 'result')
  const mismatched = counter('gateway_foreign_answers_total', 'Answers of HighLevel that belonged to another call')
  const unchecked = counter(
    'gateway_unchecked_writes_total',
    'Writes that were not validated because the object’s fields are unknown',
    'why'
  )

  return {
    countSchemaRead: (result: 'read' | UnavailableReason) => schemaReads.inc({ result }),
    /** A write that was not validated because its schema is unavailable. */
    countUnchecked: (why: UnavailableReason) => unchecked.inc({ why }),
    countRetry: (reason: RetryReason) => retries.inc({ reason }),
    countMismatched: () => mismatched.inc(),
    countRefusal: () => quotaRejections.inc(),
    /** `share` is 0.2 or 0.05. */
    countLow: (share: number) => dayLows.inc({ left: `${share * 100}%` }),
    countCircuit: (scope: Scope, state: string) => circuits.inc({ scope, state })
  }
}

/** Gauges that call `read` at each scrape. */
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
  gauge('gateway_calls_under_way', 'Record calls in flight', ({ callsInFlight }) => callsInFlight)
  gauge(
    'gateway_calls_in_line',
    'Record calls waiting for the quota of their location',
    ({ callsQueued }) => callsQueued
  )
  gauge('gateway_circuit_open', '1 while the circuit of all locations is open', ({ circuit }) => Number(circuit.isOpen))
  gauge(
    'gateway_location_circuits_open',
    'Locations with an open circuit of their own',
    ({ circuit }) => circuit.locations
  )
  gauge('gateway_redis_up', '1 while Redis answers, 0 while it does not; absent without REDIS_URL', ({ redisIsUp }) =>
    redisIsUp === undefined ? undefined : Number(redisIsUp)
  )
}
