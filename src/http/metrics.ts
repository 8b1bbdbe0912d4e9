import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client'
import type { RenewalResult } from '../tokens/renewal.ts'

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** Prometheus metrics. Labels come from closed sets: a label with a location or record id would grow without end. */
export function createMetrics() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]

  const calls = new Counter({
    name: 'gateway_calls_total',
    help: 'Calls by route, status and problem code',
    labelNames: ['route', 'status', 'code'],
    registers
  })
  const durations = new Histogram({
    name: 'gateway_call_seconds',
    help: 'Time of a record call by phase',
    labelNames: ['phase'],
    buckets: SECONDS,
    registers
  })
  const renewals = new Counter({
    name: 'gateway_token_renewals_total',
    help: 'Token renewals by result',
    labelNames: ['result'],
    registers
  })
  const phases = {
    total: durations.labels('total'),
    token: durations.labels('token'),
    upstream: durations.labels('upstream')
  }

  // prom-client looks a label set up by a string made of it: the few that occur are kept by route and outcome.
  const series = new Map<string, Map<string | number, Counter.Internal>>()

  return {
    contentType: registry.contentType,
    render: () => registry.metrics(),
    countRenewal: (result: RenewalResult) => renewals.inc({ result }),

    countCall(route: string, status: number, code: string): void {
      const ofRoute = series.get(route) ?? new Map<string | number, Counter.Internal>()
      const outcome = code === 'none' ? status : code
      const known = ofRoute.get(outcome) ?? calls.labels(route, String(status), code)
      series.set(route, ofRoute.set(outcome, known))
      known.inc()
    },

    /** Milliseconds. */
    observe(phase: keyof typeof phases, ms: number): void {
      phases[phase].observe(ms / 1_000)
    }
  }
}

export type Metrics = ReturnType<typeof createMetrics>
