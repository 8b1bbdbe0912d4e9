import type { Metric, MetricValueWithName, Registry } from 'prom-client'

/** Upper bounds of the buckets, in seconds. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const

/**
 * A Prometheus histogram of times, kept as plain numbers and turned into a metric at each scrape. prom-client's own
 * looks up its series by label at every observation, and each call makes two.
 */
export function createTimeHistogram(registry: Registry, name: string, help: string) {
  const counts = new Array<number>(BOUNDS.length).fill(0)
  let count = 0
  let sum = 0

  const collectValues = (): MetricValueWithName<'le'>[] => {
    let cumulative = 0
    const buckets = BOUNDS.map((le, i) => {
      cumulative += counts[i] ?? 0
      return { metricName: `${name}_bucket`, labels: { le }, value: cumulative }
    })
    return [
      ...buckets,
      { metricName: `${name}_bucket`, labels: { le: '+Inf' }, value: count },
      { metricName: `${name}_sum`, labels: {}, value: sum },
      { metricName: `${name}_count`, labels: {}, value: count }
    ]
  }
  // The registry uses nothing else of a metric.
  const metric = {
    name,
    get: async () => ({ name, help, type: 'histogram', aggregator: 'sum', values: collectValues() })
  }
  registry.registerMetric(metric as unknown as Metric)

  return {
    observe(ms: number): void {
      const seconds = ms / 1_000
      count += 1
      sum += seconds
      for (let i = 0; i < BOUNDS.length; i += 1) {
        if (seconds <= (BOUNDS[i] ?? 0)) {
          counts[i] = (counts[i] ?? 0) + 1
          return
        }
      }
    }
  }
}
