import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { checkMicros } from './check.ts'
import {
  type Contestant,
  contestants,
  gatewayOf,
  gatewayVerbatim,
  gatewayWithRedis,
  type Prepare
} from './contestants.ts'
import { type Round, readyMs } from './measure.ts'
import { createStart, end, endAll, freePort, pinCores } from './processes.ts'
import { report } from './report.ts'
import {
  type Bench,
  type Entrant,
  enter,
  measureLatency,
  measureReady,
  measureSideBySide,
  measureThroughput,
  RATE
} from './stages.ts'

/** Latency and ready time are asked of these two only: what the gateway adds, and what Node alone would. */
const closelyWatched = ['floor', 'gateway']

interface Options {
  readonly chosen: Readonly<Record<string, Prepare>>
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
  if (unknown.length > 0) throw new Error(`--only knows ${all.join(', ')}; not ${unknown.join(', ')}`)
  const least1 = (name: 'rounds' | 'seconds' | 'processes', otherwise: number): number => {
    const value = Number(values[name] ?? otherwise)
    if (!(value >= 1)) throw new Error(`--${name} takes a number of at least 1`)
    return value
  }
  const chosen = {
    ...Object.fromEntries(Object.entries(contestants).filter(([name]) => only.includes(name))),
    ...(values.verbatim && { 'gateway verbatim': gatewayVerbatim }),
    ...(values.redis !== undefined && { 'gateway with Redis': gatewayWithRedis(values.redis) }),
    ...(values.against !== undefined && { [`gateway of ${values.against}`]: gatewayOf(values.against) })
  }
  // Two commits are compared process by process: what V8 makes of one differs from start to start.
  const [rounds, processes] = values.against === undefined ? [6, 1] : [2, 8]
  return {
    chosen,
    rounds: least1('rounds', rounds),
    seconds: least1('seconds', 1),
    processes: least1('processes', processes)
  }
}

async function openBench(pinned: boolean, dir: string, stubPort: number): Promise<Bench> {
  const start = createStart(pinned)
  const upstreamUrl = `http://127.0.0.1:${stubPort}`
  const since = performance.now()
  const stub = start([join(import.meta.dirname, 'stub-upstream.ts')], { env: { PORT: String(stubPort) } })
  const startLoad = () =>
    start([join(import.meta.dirname, 'load.ts')], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  await readyMs(stub, upstreamUrl, since)
  return {
    start,
    stub,
    load: startLoad(),
    otherLoad: startLoad(),
    site: { upstreamUrl, dir },
    say: (text) => console.error(text)
  }
}

async function run({ chosen, rounds, seconds, processes }: Options, dir: string): Promise<string> {
  const stubPort = await freePort()
  const prepared = new Map<string, Contestant>()
  for (const [name, prepare] of Object.entries(chosen)) {
    prepared.set(name, await prepare({ upstreamUrl: `http://127.0.0.1:${stubPort}`, dir }))
  }

  const pinned = pinCores()
  if (!pinned) console.error('Not pinned: that takes taskset (util-linux) and cores 0 and 1. Compare with care.')
  const check = checkMicros()
  const bench = await openBench(pinned, dir, stubPort)
  const ready = new Map<string, number[]>()
  for (const [name, contestant] of prepared) {
    if (closelyWatched.includes(name)) ready.set(name, await measureReady(bench, name, contestant))
  }
  const throughput = new Map<string, Round[]>(Object.keys(chosen).map((name) => [name, []]))
  let latencies = new Map<string, (readonly number[])[]>()
  const sideBySide = new Map<string, number[]>()
  // What V8 makes of the same code differs from process to process by more than some changes of the code do.
  for (let i = 1; i <= processes; i++) {
    const entrants: Entrant[] = []
    for (const [name, contestant] of prepared) entrants.push(await enter(bench, name, contestant))
    const measured = await measureThroughput(bench, entrants, { rounds, seconds })
    for (const [name, its] of measured) throughput.get(name)?.push(...its)
    const own = entrants.find(({ name }) => name === 'gateway')
    for (const other of entrants.filter(({ name }) => name.startsWith('gateway of '))) {
      if (own === undefined) continue
      const ratios = sideBySide.get(other.name) ?? []
      sideBySide.set(other.name, [...ratios, await measureSideBySide(bench, own, other)])
    }
    const watched = entrants.filter(({ name }) => closelyWatched.includes(name))
    if (i === processes && watched.length > 0) latencies = await measureLatency(bench, watched)
    await Promise.all(entrants.map(({ child }) => end(child)))
  }
  return report({ rounds: throughput, sideBySide, latencies, readyMs: ready, checkMicros: check, rate: RATE, pinned })
}

const options = readOptions()
const dir = mkdtempSync(join(tmpdir(), 'records-gateway-bench-'))

async function close(): Promise<void> {
  await endAll()
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
