import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { Contestant, Site } from './contestants.ts'
import { callerPath, privateIntegrationToken, recordId, requestBody, upstreamPath } from './example.ts'
import type { Target } from './load.ts'
import { cpuSeconds, measureRound, type Round, readyMs, runTask } from './measure.ts'
import { end, type Start } from './processes.ts'

const CONNECTIONS = 50
const WARM_UP_SECONDS = 15
const SIDE_BY_SIDE_SECONDS = 8
/** Few, so that neither waits for the load process. */
const SIDE_BY_SIDE_CONNECTIONS = 8
const READY_ROUNDS = 3
const PACE_ROUNDS = 3
const PACE_SECONDS = 2
export const RATE = 200

/** What every stage works with. */
export interface Bench {
  readonly start: Start
  readonly stub: ChildProcess
  readonly load: ChildProcess
  /** For a second contestant at the same time. */
  readonly otherLoad: ChildProcess
  readonly site: Site
  readonly say: (text: string) => void
}
/** A contestant that runs and is warm. */
export interface Entrant {
  readonly name: string
  readonly child: ChildProcess
  readonly target: Target
}

const targetOf = ({ origin, headers }: Contestant): Target => ({
  origin,
  method: 'PATCH',
  path: callerPath,
  headers: { 'content-type': 'application/json', ...headers },
  body: requestBody
})

/** Starts a contestant with its log in a file, as a container's log would be, and waits until it is ready. */
async function launch({ start, site }: Bench, { args, env, origin }: Contestant) {
  const log = openSync(join(site.dir, 'log'), 'a')
  const since = performance.now()
  const child = start(args, { env, underTest: true, stdio: ['ignore', log, 'inherit'] })
  closeSync(log)
  return { child, ms: await readyMs(child, origin, since) }
}

/** Milliseconds from spawn to ready, each time with a new process. */
export async function measureReady(bench: Bench, name: string, contestant: Contestant): Promise<number[]> {
  bench.say(`${name}: ready time`)
  const times: number[] = []
  for (let i = 0; i < READY_ROUNDS; i++) {
    const { child, ms } = await launch(bench, contestant)
    times.push(ms)
    await end(child)
  }
  return times
}

/** A contestant that answered fast but wrongly would win: each one is asked once and its answer is read. */
async function verify(name: string, { origin, path, ...request }: Target): Promise<void> {
  const answer = await fetch(origin + path, request)
  const text = await answer.text()
  if (answer.status === 200 && JSON.parse(text).record?.id === recordId) return
  throw new Error(`${name} answered ${answer.status}: ${text.slice(0, 1000)}`)
}

/** Starts a contestant for the rest of the run. The warm-up is long: V8 settles late on a slow machine. */
export async function enter(bench: Bench, name: string, contestant: Contestant): Promise<Entrant> {
  bench.say(`${name}: warm-up`)
  const { child } = await launch(bench, contestant)
  const target = targetOf(contestant)
  await verify(name, target)
  await runTask(bench.load, { kind: 'flood', target, seconds: WARM_UP_SECONDS, connections: CONNECTIONS })
  return { name, child, target }
}

/** One short round of each, over and over, so that a slow spell of the machine meets all of them. */
export async function measureThroughput(
  { load, stub, say }: Bench,
  entrants: readonly Entrant[],
  { rounds, seconds }: { rounds: number; seconds: number }
): Promise<Map<string, Round[]>> {
  const results = new Map<string, Round[]>(entrants.map(({ name }) => [name, []]))
  for (let i = 1; i <= rounds; i++) {
    say(`throughput: round ${i} of ${rounds}`)
    for (const { name, child, target } of entrants) {
      const flood = () => runTask(load, { kind: 'flood', target, seconds, connections: CONNECTIONS })
      const round = await measureRound(child, stub, flood)
      say(`  ${name}: ${round.requestsPerSecond.toFixed(0)}/s, ${round.cpuMicros.toFixed(1)} µs`)
      results.get(name)?.push(round)
    }
  }
  return results
}

/**
 * What a request costs `one`, as a ratio to what it costs `other`. Both are flooded at the same time and share the tested
 * core, so a slow spell of the machine hits both: rounds one after the other differ by a tenth for the same code.
 */
export async function measureSideBySide(
  { load, otherLoad, say }: Bench,
  one: Entrant,
  other: Entrant
): Promise<number> {
  const flood = async ({ child, target }: Entrant, from: ChildProcess): Promise<number> => {
    const before = cpuSeconds(child)
    const task = {
      kind: 'flood',
      target,
      seconds: SIDE_BY_SIDE_SECONDS,
      connections: SIDE_BY_SIDE_CONNECTIONS
    } as const
    const { requests } = await runTask(from, task)
    return (cpuSeconds(child) - before) / requests
  }
  const [cost, otherCost] = await Promise.all([flood(one, load), flood(other, otherLoad)])
  say(`side by side: ${one.name} takes ${(cost / otherCost).toFixed(3)} x the CPU of ${other.name}`)
  return cost / otherCost
}

/** Latencies in milliseconds at a fixed rate, by name and round; `direct` asks the stub with nothing between. */
export async function measureLatency(
  { load, site, say }: Bench,
  entrants: readonly Entrant[]
): Promise<Map<string, (readonly number[])[]>> {
  const headers = { authorization: `Bearer ${privateIntegrationToken}`, 'content-type': 'application/json' }
  const direct: Target = { origin: site.upstreamUrl, method: 'PUT', path: upstreamPath, headers, body: requestBody }
  const targets = [{ name: 'direct', target: direct }, ...entrants]
  const results = new Map<string, (readonly number[])[]>(targets.map(({ name }) => [name, []]))
  for (let i = 1; i <= PACE_ROUNDS; i++) {
    say(`latency at ${RATE}/s: round ${i} of ${PACE_ROUNDS}`)
    for (const { name, target } of targets) {
      const { latenciesMs } = await runTask(load, { kind: 'pace', target, seconds: PACE_SECONDS, rate: RATE })
      results.get(name)?.push(latenciesMs)
    }
  }
  return results
}
