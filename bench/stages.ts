import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { BenchEnvironment, Contestant } from './contestants.ts'
import { callerPath, privateToken, recordId, requestBody, upstreamPath } from './example.ts'
import type { Target } from './load.ts'
import { cpuSeconds, measureRound, type Round, runTask, waitUntilReady } from './measure.ts'
import { type StartProcess, stop } from './processes.ts'

const CONNECTIONS = 50
const WARM_UP_SECONDS = 15
const SIDE_BY_SIDE_WARM_UP_SECONDS = 3
const SIDE_BY_SIDE_SECONDS = 8
/** Few, so that the load process is not the bottleneck. */
const SIDE_BY_SIDE_CONNECTIONS = 8
const READY_ROUNDS = 3
const PACE_ROUNDS = 3
const PACE_SECONDS = 2
export const REQUESTS_PER_SECOND = 200

/** What every stage needs. */
export interface Bench {
  readonly start: StartProcess
  readonly stub: ChildProcess
  readonly load: ChildProcess
  /** Loads a second contestant at the same time. */
  readonly otherLoad: ChildProcess
  readonly environment: BenchEnvironment
  readonly log: (text: string) => void
}
/** A contestant that is running and warmed up. */
export interface RunningContestant {
  readonly name: string
  readonly child: ChildProcess
  readonly target: Target
}

const buildTarget = ({ origin, headers }: Contestant): Target => ({
  origin,
  method: 'PATCH',
  path: callerPath,
  headers: { 'content-type': 'application/json', ...headers },
  body: requestBody
})

/** Starts a contestant that logs to a file, as in a container, and waits until it is ready. */
async function launch({ start, environment }: Bench, { args, env, origin }: Contestant) {
  const log = openSync(join(environment.dir, 'log'), 'a')
  const since = performance.now()
  const child = start(args, { env, underTest: true, stdio: ['ignore', log, 'inherit'] })
  closeSync(log)
  return { child, ms: await waitUntilReady(child, origin, since) }
}

/** Measures the milliseconds from spawn to ready, several times. */
export async function measureReady(bench: Bench, name: string, contestant: Contestant): Promise<number[]> {
  bench.log(`${name}: ready time`)
  const times: number[] = []
  for (let i = 0; i < READY_ROUNDS; i++) {
    const { child, ms } = await launch(bench, contestant)
    times.push(ms)
    await stop(child)
  }
  return times
}

/** Checks one answer of a contestant: fast wrong answers must not win. */
async function verify(name: string, { origin, path, ...request }: Target): Promise<void> {
  const answer = await fetch(origin + path, request)
  const text = await answer.text()
  if (answer.status === 200 && JSON.parse(text).record?.id === recordId) return
  throw new Error(`${name} answered ${answer.status}: ${text.slice(0, 1000)}`)
}

/** Starts and warms up a contestant. The warm-up is long because V8 optimizes late on a slow machine. */
export async function startContestant(bench: Bench, name: string, contestant: Contestant): Promise<RunningContestant> {
  bench.log(`${name}: warm-up`)
  const { child } = await launch(bench, contestant)
  const target = buildTarget(contestant)
  await verify(name, target)
  await runTask(bench.load, { kind: 'flood', target, seconds: WARM_UP_SECONDS, connections: CONNECTIONS })
  return { name, child, target }
}

/** Measures all contestants in many short rounds, so that a slow spell of the machine affects all of them. */
export async function measureThroughput(
  { load, stub, log }: Bench,
  contestants: readonly RunningContestant[],
  { rounds, seconds }: { rounds: number; seconds: number }
): Promise<Map<string, Round[]>> {
  const results = new Map<string, Round[]>(contestants.map(({ name }) => [name, []]))
  for (let i = 1; i <= rounds; i++) {
    log(`throughput: round ${i} of ${rounds}`)
    for (const { name, child, target } of contestants) {
      const flood = () => runTask(load, { kind: 'flood', target, seconds, connections: CONNECTIONS })
      const round = await measureRound(child, stub, flood)
      log(`  ${name}: ${round.requestsPerSecond.toFixed(0)}/s, ${round.cpuMicros.toFixed(1)} µs`)
      results.get(name)?.push(round)
    }
  }
  return results
}

/**
 * The CPU time of a request in `one`, divided by that in `other`. Both are flooded at the same time and share the
 * tested core, so that a slow spell of the machine affects both. Measured one after the other, equal code differs by
 * 10 %.
 */
export async function measureSideBySide(
  { load, otherLoad, log }: Bench,
  one: RunningContestant,
  other: RunningContestant
): Promise<number> {
  const flood = async ({ child, target }: RunningContestant, from: ChildProcess): Promise<number> => {
    const task = { kind: 'flood', target, connections: SIDE_BY_SIDE_CONNECTIONS } as const
    await runTask(from, { ...task, seconds: SIDE_BY_SIDE_WARM_UP_SECONDS })
    const before = cpuSeconds(child)
    const { requests } = await runTask(from, { ...task, seconds: SIDE_BY_SIDE_SECONDS })
    return (cpuSeconds(child) - before) / requests
  }
  const [cost, otherCost] = await Promise.all([flood(one, load), flood(other, otherLoad)])
  log(`side by side: ${one.name} takes ${(cost / otherCost).toFixed(3)} x the CPU of ${other.name}`)
  return cost / otherCost
}

/** Measures latencies in milliseconds at a fixed rate, by name and round. `direct` calls the stub itself. */
export async function measureLatency(
  { load, environment, log }: Bench,
  contestants: readonly RunningContestant[]
): Promise<Map<string, (readonly number[])[]>> {
  const headers = { authorization: `Bearer ${privateToken}`, 'content-type': 'application/json' }
  const direct: Target = {
    origin: environment.upstreamUrl,
    method: 'PUT',
    path: upstreamPath,
    headers,
    body: requestBody
  }
  const targets = [{ name: 'direct', target: direct }, ...contestants]
  const results = new Map<string, (readonly number[])[]>(targets.map(({ name }) => [name, []]))
  for (let i = 1; i <= PACE_ROUNDS; i++) {
    log(`latency at ${REQUESTS_PER_SECOND}/s: round ${i} of ${PACE_ROUNDS}`)
    for (const { name, target } of targets) {
      const { latenciesMs } = await runTask(load, {
        kind: 'pace',
        target,
        seconds: PACE_SECONDS,
        rate: REQUESTS_PER_SECOND
      })
      results.get(name)?.push(latenciesMs)
    }
  }
  return results
}
