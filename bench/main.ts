import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { checkMicros } from './check.ts'
import { type Contestant, contestants, gatewayOf } from './contestants.ts'
import { readyMs } from './measure.ts'
import { createStart, endAll, freePort, pinCores } from './processes.ts'
import { report } from './report.ts'
import { type Bench, type Entrant, enter, measureLatency, measureReady, measureThroughput, RATE } from './stages.ts'

/** Latency and ready time are asked of these two only: what the gateway adds, and what Node alone would. */
const closelyWatched = ['floor', 'gateway']

interface Options {
  readonly names: readonly string[]
  readonly rounds: number
  readonly seconds: number
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      against: { type: 'string' }
    }
  })
  if (values.against !== undefined) contestants[`gateway of ${values.against}`] = gatewayOf(values.against)
  const all = Object.keys(contestants)
  const only = values.only?.split(',') ?? all
  const against = all.filter((name) => name.startsWith('gateway of '))
  const unknown = only.filter((name) => !all.includes(name))
  if (unknown.length > 0) throw new Error(`--only knows ${all.join(', ')}; not ${unknown.join(', ')}`)
  const [rounds, seconds] = [Number(values.rounds ?? 6), Number(values.seconds ?? 1)]
  if (!(rounds >= 1 && seconds >= 1)) throw new Error('--rounds and --seconds take a number of at least 1')
  return { names: all.filter((name) => only.includes(name) || against.includes(name)), rounds, seconds }
}

async function openBench(pinned: boolean, dir: string, stubPort: number): Promise<Bench> {
  const start = createStart(pinned)
  const upstreamUrl = `http://127.0.0.1:${stubPort}`
  const since = performance.now()
  const stub = start([join(import.meta.dirname, 'stub-upstream.ts')], { env: { PORT: String(stubPort) } })
  const load = start([join(import.meta.dirname, 'load.ts')], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  await readyMs(stub, upstreamUrl, since)
  return { start, stub, load, site: { upstreamUrl, dir }, say: (text) => console.error(text) }
}

async function run({ names, rounds, seconds }: Options, dir: string): Promise<string> {
  const stubPort = await freePort()
  const prepared = new Map<string, Contestant>()
  for (const name of names) {
    const contestant = await contestants[name]?.({ upstreamUrl: `http://127.0.0.1:${stubPort}`, dir })
    if (contestant !== undefined) prepared.set(name, contestant)
  }

  const pinned = pinCores()
  if (!pinned) console.error('Not pinned: that takes taskset (util-linux) and cores 0 and 1. Compare with care.')
  const check = checkMicros()
  const bench = await openBench(pinned, dir, stubPort)
  const ready = new Map<string, number[]>()
  for (const [name, contestant] of prepared) {
    if (closelyWatched.includes(name)) ready.set(name, await measureReady(bench, name, contestant))
  }
  const entrants: Entrant[] = []
  for (const [name, contestant] of prepared) entrants.push(await enter(bench, name, contestant))
  const throughput = await measureThroughput(bench, entrants, { rounds, seconds })
  const watched = entrants.filter(({ name }) => closelyWatched.includes(name))
  const latencies = watched.length > 0 ? await measureLatency(bench, watched) : new Map<string, number[][]>()
  return report({ rounds: throughput, latencies, readyMs: ready, checkMicros: check, rate: RATE, pinned })
}

const options = readOptions()
const dir = mkdtempSync(join(tmpdir(), 'records-gateway-bench-'))

async function close(): Promise<void> {
  await endAll()
  rmSync(dir, { recursive: true, force: true })
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => close().finally(() => process.exit(1)))
}

try {
  console.log(await run(options, dir))
} finally {
  await close()
}
