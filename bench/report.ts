import { cpus } from 'node:os'
import type { Round } from './measure.ts'

export interface Results {
  readonly rounds: ReadonlyMap<string, readonly Round[]>
  /** CPU per request of this gateway divided by that of another commit, one ratio per pair of processes. */
  readonly sideBySide: ReadonlyMap<string, readonly number[]>
  /** Latencies in milliseconds at the fixed rate, by name and round. `direct` is the stub without a contestant. */
  readonly latencies: ReadonlyMap<string, readonly (readonly number[])[]>
  /** Microseconds. */
  readonly checkMicros: number
  readonly readyMs: ReadonlyMap<string, readonly number[]>
  readonly rate: number
  readonly pinned: boolean
}

/** NaN for an empty list, which is printed as a dash. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length * share)] ?? Number.NaN
}

/** The median of `name / base` over the rounds. Each round is compared with its neighbor, so slow spells cancel out. */
function ratio({ rounds }: Results, name: string, base: string, key: keyof Round): number {
  const bases = rounds.get(base) ?? []
  return median((rounds.get(name) ?? []).map((round, i) => round[key] / (bases[i]?.[key] ?? Number.NaN)))
}

const quantiles = ({ latencies }: Results, name: string, share: number) =>
  (latencies.get(name) ?? []).map((round) => quantile(round, share))

/** The median over the rounds of the latency added to a direct call of the upstream. */
function added(results: Results, name: string, share: number): number {
  const direct = quantiles(results, 'direct', share)
  return median(quantiles(results, name, share).map((value, i) => value - (direct[i] ?? Number.NaN)))
}

const unit = (digits: number, name: string) => (value: number) =>
  Number.isNaN(value) ? '-' : `${value.toFixed(digits)}${name}`
const number = unit(0, '')
const wholeMs = unit(0, ' ms')
const micros = unit(1, '')
const microseconds = unit(1, ' µs')
const factor = unit(2, ' x')
const ms = unit(2, ' ms')
const percent = (share: number) => unit(0, ' %')(share * 100)

function row(results: Results, name: string, rounds: readonly Round[]): string {
  const of = (key: keyof Round) => median(rounds.map((round) => round[key]))
  const cells = [
    name,
    number(of('requestsPerSecond')),
    micros(of('cpuMicros')),
    factor(ratio(results, name, 'floor', 'cpuMicros')),
    factor(ratio(results, name, 'floor', 'requestsPerSecond')),
    percent(of('ownCore')),
    percent(of('loadCore'))
  ]
  return `| ${cells.join(' | ')} |`
}

interface Goal {
  readonly what: string
  readonly value: number
  readonly show: (value: number) => string
  readonly atMost?: number
  readonly atLeast?: number
}

/** The performance goals of the gateway. */
function goals(results: Results): Goal[] {
  const throughput = (than: string) => ratio(results, 'gateway', than, 'requestsPerSecond')
  const at = `at ${results.rate}/s`
  return [
    {
      what: 'CPU per request, relative to floor',
      value: ratio(results, 'gateway', 'floor', 'cpuMicros'),
      show: factor,
      atMost: 1.5
    },
    {
      what: 'CPU per request with Redis, relative to without',
      value: ratio(results, 'gateway with Redis', 'gateway', 'cpuMicros'),
      show: factor,
      atMost: 1.4
    },
    { what: 'throughput, relative to reply-from', value: throughput('reply-from'), show: factor, atLeast: 1.3 },
    { what: 'throughput, relative to express-axios', value: throughput('express-axios'), show: factor, atLeast: 6 },
    { what: `added latency ${at}, p50`, value: added(results, 'gateway', 0.5), show: ms, atMost: 1 },
    { what: `added latency ${at}, p99`, value: added(results, 'gateway', 0.99), show: ms, atMost: 5 },
    { what: 'check and translation of the example', value: results.checkMicros, show: microseconds, atMost: 25 },
    { what: 'ready after', value: median(results.readyMs.get('gateway') ?? []), show: wholeMs, atMost: 1000 }
  ]
}

function verdict({ what, value, show, atMost, atLeast }: Goal): string {
  const met = value <= (atMost ?? Number.POSITIVE_INFINITY) && value >= (atLeast ?? Number.NEGATIVE_INFINITY)
  const goal = atMost === undefined ? `at least ${show(atLeast ?? 0)}` : `at most ${show(atMost)}`
  return `- gateway, ${what}: ${show(value)}, goal ${goal}: ${met ? 'met' : 'not met'}`
}

function machine({ rounds, pinned }: Results): string {
  const others = median([...rounds.values()].flat().map(({ othersOnCore }) => othersOnCore))
  return [
    `Node ${process.version}`,
    cpus()[0]?.model.trim() ?? 'unknown CPU',
    `${cpus().length} cores`,
    pinned ? `pinned to one core, of which others took ${percent(others)}` : 'not pinned to a core',
    new Date().toISOString().slice(0, 10)
  ].join(', ')
}

/** The geometric mean of ratios, and its relative standard error. */
function meanRatio(ratios: readonly number[]): { mean: number; error: number } {
  const logs = ratios.map(Math.log)
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (logs.length - 1)
  return { mean: Math.exp(mean), error: Math.sqrt(variance / logs.length) }
}

/** The cost of this gateway relative to other commits. */
const comparisons = ({ sideBySide }: Results): string[] =>
  [...sideBySide].map(([base, ratios]) => {
    const { mean, error } = meanRatio(ratios)
    const spread = `± ${percent(error)}, ${ratios.length} pairs of processes side by side on one core`
    return `- gateway, CPU per request, relative to ${base}: ${unit(3, ' x')(mean)} (${spread})`
  })

/** The report in Markdown, without what this run did not measure. */
export function report(results: Results): string {
  const p = (name: string, share: number) => ms(median(quantiles(results, name, share)))
  const plus = (name: string, share: number) => ms(added(results, name, share))
  const latencies = [...results.latencies.keys()].map((name) =>
    name === 'direct'
      ? `- latency at ${results.rate}/s without a gateway: p50 ${p(name, 0.5)}, p99 ${p(name, 0.99)}`
      : `- ${name} adds p50 ${plus(name, 0.5)}, p99 ${plus(name, 0.99)}`
  )
  return [
    '| contestant | requests/s | CPU µs/request | CPU, of floor | throughput, of floor | own core busy | load core busy |',
    '|---|--:|--:|--:|--:|--:|--:|',
    ...[...results.rounds].map(([name, rounds]) => row(results, name, rounds)),
    '',
    ...latencies,
    ...[...results.readyMs].map(([name, values]) => `- ${name} is ready after ${wholeMs(median(values))}`),
    '',
    ...comparisons(results),
    ...goals(results)
      .filter(({ value }) => !Number.isNaN(value))
      .map(verdict),
    '',
    machine(results)
  ].join('\n')
}
