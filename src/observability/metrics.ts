import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { RenewalResult } from '../grants/renewal/failures.ts'
import type { Vault } from '../grants/vault/vault.ts'
import type { Clock } from '../shared/clock.ts'
import { createHighLevelMetrics } from './highlevel-metrics.ts'
import { createTimeHistogram } from './time-histogram.ts'

interface Deps {
  countGrants: Vault['countGrants']
  clock: Pick<Clock, 'now'>
}

/** The events that the gateway handles. All others are counted as `other`, since labels must be a closed set. */
const webhookTypes = new Set(['INSTALL', 'UNINSTALL', 'ObjectSchemaCreate', 'ObjectSchemaUpdate'])

/** Prometheus metrics. Labels come from closed sets: one with location or record ids would grow without limit. */
export function createMetrics({ countGrants, clock }: Deps) {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]

  // Calls are counted as plain numbers and turned into a metric at each scrape: prom-client builds a string from the
  // labels for every increment.
  const series = new Map<string, Map<string | number, { labels: Record<string, string | number>; count: number }>>()
  new Counter({
    name: 'gateway_calls_total',
    help: 'Calls by route, status and problem code',
    labelNames: ['route', 'status', 'code'],
    registers,
    collect() {
      this.reset()
      for (const outcomes of series.values()) for (const { labels, count } of outcomes.values()) this.inc(labels, count)
    }
  })

  const seconds = (name: string, help: string) => createTimeHistogram(registry, name, help)
  const phases = {
    total: seconds('gateway_call_seconds', 'Duration of a record call'),
    queue: seconds('gateway_queue_seconds', 'Time that a record call waited for quota'),
    token: seconds('gateway_token_seconds', 'Time that a record call waited for a token'),
    upstream: seconds('gateway_upstream_seconds', 'Time that HighLevel took to answer a record call')
  }
  const renewals = new Counter({
    name: 'gateway_token_renewals_total',
    help: 'Token renewals by result',
    labelNames: ['result'],
    registers
  })
  const webhooks = new Counter({
    name: 'gateway_webhooks_total',
    help: 'Webhooks by type and result',
    labelNames: ['type', 'result'],
    registers
  })
  const upstream = createHighLevelMetrics(registry)
  const grants = new Gauge({ name: 'gateway_grants', help: 'Grants by state', labelNames: ['state'], registers })
  const overdue = new Gauge({
    name: 'gateway_renewal_overdue_seconds',
    help: 'How long the most overdue grant has been waiting for its renewal',
    registers
  })

  /** Queries the vault at each scrape. If it does not answer, its metrics are left out: old values would hide that. */
  const refresh = async (): Promise<void> => {
    grants.reset()
    overdue.remove()
    const { states, oldestDueAt } = await countGrants()
    for (const { state, count } of states) grants.set({ state }, count)
    overdue.set(oldestDueAt === null ? 0 : Math.max(0, clock.now() - oldestDueAt) / 1_000)
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
      const outcomes = series.get(route) ?? new Map()
      series.set(route, outcomes.set(outcome, { labels: { route, status, code }, count: 1 }))
    },

    observe(phase: keyof typeof phases, ms: number): void {
      phases[phase].observe(ms)
    }
  }
}

export type Metrics = ReturnType<typeof createMetrics>
