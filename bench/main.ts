import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureCheckMicros } from './check.ts'
import {
  type Contestant,
  contestants,
  gatewayOf,
  gatewayVerbatim,
  gatewayWithRedis,
  type PrepareContestant
} from './contestants.ts'
import { type Round, waitUntilReady } from './measure.ts'
import { createStartProcess, freePort, pinCores, stop, stopAll } from './processes.ts'
import { report } from './report.ts'
import {
  type Bench,
  measureLatency,
  measureReady,
  measureSideBySide,
  measureThroughput,
  REQUESTS_PER_SECOND,
  type RunningContestant,
  startContestant
} from './stages.ts'

/** Only these two are measured for latency and ready time: the gateway, and bare Node as the baseline. */
const latencyContestants = ['floor', 'gateway']

interface Options {
  readonly chosen: Readonly<Record<string, PrepareContestant>>
  readonly rounds: number
  readonly seconds: number
  readonly processes: number
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      processes: { type: 'string' },
      against: { type: 'string' },
      redis: { type: 'string' },
      verbatim: { type: 'boolean' }
    }
  })
  const all = Object.keys(contestants)
  const only = values.only?.split(',') ?? all
  const unknown = only.filter((name) => !all.includes(name))
  if (unknown.length > 0) throw new Error(`--only accepts ${all.join(', ')}; unknown: ${unknown.join(', ')}`)
  const readAtLeastOne = (name: 'rounds' | 'seconds' | 'processes', fallback: number): number => {
    const value = Number(values[name] ?? fallback)
    if (!(value >= 1)) throw new Error(`--${name} must be a number of at least 1`)
    return value
  }
  const chosen = {
    ...Object.fromEntries(Object.entries(contestants).filter(([name]) => only.includes(name))),
    ...(values.verbatim && { 'gateway verbatim': gatewayVerbatim }),
    ...(values.redis !== undefined && { 'gateway with Redis': gatewayWithRedis(values.redis) }),
    ...(values.against !== undefined && { [`gateway of ${values.against}`]: gatewayOf(values.against) })
  }
  // Commits are compared over several processes: V8 optimizes each one differently, by more than some changes cost.
  const [rounds, processes] = values.against === undefined ? [6, 1] : [2, 8]
  return {
    chosen,
    rounds: readAtLeastOne('rounds', rounds),
    seconds: readAtLeastOne('seconds', 1),
    processes: readAtLeastOne('processes', processes)
  }
}

async function openBench(pinned: boolean, dir: string, stubPort: number): Promise<Bench> {
  const start = createStartProcess(pinned)
  const upstreamUrl = `http://127.0.0.1:${stubPort}`
  const since = performance.now()
  const stub = start([join(import.meta.dirname, 'stub-upstream.ts')], { env: { PORT: String(stubPort) } })
  const startLoad = () =>
    start([join(import.meta.dirname, 'load.ts')], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  await waitUntilReady(stub, upstreamUrl, since)
  return {
    start,
    stub,
    load: startLoad(),
    otherLoad: startLoad(),
    environment: { upstreamUrl, dir },
    log: (text) => console.error(text)
  }
}

async function run({ chosen, rounds, seconds, processes }: Options, dir: string): Promise<string> {
  const stubPort = await freePort()
  const prepared = new Map<string, Contestant>()
  for (const [name, prepare] of Object.entries(chosen)) {
    prepared.set(name, await prepare({ upstreamUrl: `http://127.0.0.1:${stubPort}`, dir }))
  }

  const pinned = pinCores()
  if (!pinned)
    console.error('Not pinned to cores, which needs taskset (util-linux) and cores 0 and 1: results vary more.')
  const check = measureCheckMicros()
  const bench = await openBench(pinned, dir, stubPort)
  const ready = new Map<string, number[]>()
  for (const [name, contestant] of prepared) {
    if (latencyContestants.includes(name)) ready.set(name, await measureReady(bench, name, contestant))
  }
  const throughput = new Map<string, Round[]>(Object.keys(chosen).map((name) => [name, []]))
  let latencies = new Map<string, (readonly number[])[]>()
  const sideBySide = new Map<string, number[]>()
  for (let i = 1; i <= processes; i++) {
    const running: RunningContestant[] = []
    // In turns, because whoever was warmed up last is measured a little warmer.
    const order = i % 2 === 1 ? [...prepared] : [...prepared].reverse()
    for (const [name, contestant] of order) running.push(await startContestant(bench, name, contestant))
    const measured = await measureThroughput(bench, running, { rounds, seconds })
    for (const [name, its] of measured) throughput.get(name)?.push(...its)
    const own = running.find(({ name }) => name === 'gateway')
    for (const other of running.filter(({ name }) => name.startsWith('gateway of '))) {
      if (own === undefined) continue
      const ratios = sideBySide.get(other.name) ?? []
      sideBySide.set(other.name, [...ratios, await measureSideBySide(bench, own, other)])
    }
    const watched = running.filter(({ name }) => latencyContestants.includes(name))
    if (i === processes && watched.length > 0) latencies = await measureLatency(bench, watched)
    await Promise.all(running.map(({ child }) => stop(child)))
  }
  return report({
    rounds: throughput,
    sideBySide,
    latencies,
    readyMs: ready,
    checkMicros: check,
    rate: REQUESTS_PER_SECOND,
    pinned
  })
}

const options = readOptions()
const dir = mkdtempSync(join(tmpdir(), 'records-gateway-bench-'))

async function close(): Promise<void> {
  await stopAll()
  rmSync(dir, { recursive: true, force: true })
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => close().finally(() => process.exit(1)))
}

try {
  console.log(await run(options, dir))
} finally {
  await close()
}
