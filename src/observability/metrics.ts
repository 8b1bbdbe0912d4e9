import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { RenewalResult } from '../grants/renewal/failures.ts'
import type { Vault } from '../grants/vault/vault.ts'
import { createUpstreamMetrics } from './highlevel-metrics.ts'
import { createTimeHistogram } from './time-histogram.ts'

interface Deps {
  survey: Vault['countGrants']
  now: () => number
}

/** Events that the gateway acts on; others are many, and a label has to stay a closed set. */
const webhookTypes = new Set(['INSTALL', 'UNINSTALL', 'ObjectSchemaCreate', 'ObjectSchemaUpdate'])

/** Prometheus metrics. Labels come from closed sets: a label with a location or record id would grow without end. */
export function createMetrics({ survey, now }: Deps) {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]

  // Plain numbers on the path of a call, handed over when they are asked for: prom-client finds a series by a string
  // that it makes of the labels each time.
  const series = new Map<string, Map<string | number, { labels: Record<string, string | number>; count: number }>>()
  new Counter({
    name: 'gateway_calls_total',
    help: 'Calls by route, status and problem code',
    labelNames: ['route', 'status', 'code'],
    registers,
    collect() {
      this.reset()
      for (const ofRoute of series.values()) for (const { labels, count } of ofRoute.values()) this.inc(labels, count)
    }
  })

  const seconds = (name: string, help: string) => createTimeHistogram(registry, name, help)
  const phases = {
    total: seconds('gateway_call_seconds', 'Time of a record call'),
    queue: seconds('gateway_queue_seconds', 'Time for which a record call stood in line'),
    token: seconds('gateway_token_seconds', 'Time for which a record call waited for a token'),
    upstream: seconds('gateway_upstream_seconds', 'Time that HighLevel took for a record call')
  }
  const renewals = new Counter({
    name: 'gateway_token_renewals_total',
    help: 'Token renewals by result',
    labelNames: ['result'],
    registers
  })
  const webhooks = new Counter({
    name: 'gateway_webhooks_total',
    help: 'Webhooks by type and what became of them',
    labelNames: ['type', 'result'],
    registers
  })
  const upstream = createUpstreamMetrics(registry)
  const grants = new Gauge({ name: 'gateway_grants', help: 'Grants by state', labelNames: ['state'], registers })
  const overdue = new Gauge({
    name: 'gateway_renewal_overdue_seconds',
    help: 'For how long the grant has waited for its renewal that waits the longest',
    registers
  })

  /** The vault is asked with each scrape. Where it does not answer, its figures are left out: old ones would hide that. */
  const refresh = async (): Promise<void> => {
    grants.reset()
    overdue.remove()
    const { states, oldestDueAt } = await survey()
    for (const { state, count } of states) grants.set({ state }, count)
    overdue.set(oldestDueAt === null ? 0 : Math.max(0, now() - oldestDueAt) / 1_000)
  }

  return {
    upstream,
    registry,
    contentType: registry.contentType,
    async render(): Promise<string> {
      await refresh().catch(() => undefined)
      return registry.metrics()
    },
    countWebhook: (type: string, result: string) =>
      webhooks.inc({ type: webhookTypes.has(type) ? type : 'other', result }),
    countRenewal: (result: RenewalResult) => renewals.inc({ result }),

    countCall(route: string, status: number, code: string): void {
      const outcome = code === 'none' ? status : code
      const known = series.get(route)?.get(outcome)
      if (known !== undefined) {
        known.count += 1
        return
      }
      const ofRoute = series.get(route) ?? new Map()
      series.set(route, ofRoute.set(outcome, { labels: { route, status, code }, count: 1 }))
    },

    /** Milliseconds. */
    observe(phase: keyof typeof phases, ms: number): void {
      phases[phase].observe(ms)
    }
  }
}

export type Metrics = ReturnType<typeof createMetrics>
