import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Outcome, Task } from './load.ts'
import { TESTED_CORE } from './processes.ts'

const READY_WITHIN_MS = 20_000
const POLL_MS = 5
/** Linux reports CPU time in hundredths of a second, whatever the tick of its kernel. */
const TICKS_PER_SECOND = 100

/**
 * One round of one contestant. `ownCore` and `othersOnCore` are shares of the contestant's core: its own use, and that
 * of other processes and virtual machines. `loadCore` is the share of the other core that load and stub used. It must
 * stay below 1, or it limits the throughput.
 */
export interface Round {
  readonly requestsPerSecond: number
  readonly cpuMicros: number
  readonly ownCore: number
  readonly othersOnCore: number
  readonly loadCore: number
}

/** The CPU seconds that all threads of a process have used so far. */
export function cpuSeconds({ pid }: ChildProcess): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field is the name of the program in parentheses and may contain spaces: count fields after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** The time of one core in ticks since boot: in total, and in use, by this machine or by others on the same host. */
function coreTicks(core: string): { all: number; used: number } {
  const line = readFileSync('/proc/stat', 'utf8').match(new RegExp(`^cpu${core} (.*)$`, 'm'))?.[1] ?? ''
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0] = line
    .split(' ')
    .map(Number)
  const used = user + nice + system + irq + softirq + steal
  return { all: used + idle + wait, used }
}

/** Milliseconds from `since`, when the process was about to be spawned, until `GET /readyz` answers 200. */
export async function waitUntilReady(child: ChildProcess, origin: string, since: number): Promise<number> {
  while (performance.now() - since < READY_WITHIN_MS) {
    if (child.exitCode !== null) throw new Error(`${child.spawnargs.join(' ')} ended with ${child.exitCode}`)
    if ((await statusOf(`${origin}/readyz`)) === 200) return performance.now() - since
    await sleep(POLL_MS)
  }
  throw new Error(`${child.spawnargs.join(' ')} was not ready within ${READY_WITHIN_MS} ms`)
}

const statusOf = (url: string) =>
  new Promise<number | undefined>((resolve) => {
    get(url, { agent: false }, (response) => resolve(response.resume().statusCode)).on('error', () =>
      resolve(undefined)
    )
  })

/** Runs one task in the load process. Rejects if the task fails or the process ends. */
export function runTask(load: ChildProcess, task: Task): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const onExit = () => reject(new Error('The load process ended'))
    load.once('exit', onExit)
    load.once('message', (message: { outcome: Outcome } | { error: string }) => {
      load.off('exit', onExit)
      if ('error' in message) reject(new Error(`${task.target.origin}: ${message.error}`))
      else resolve(message.outcome)
    })
    load.send(task)
  })
}

/** Floods a contestant once, and reads the CPU times of all processes before and after. */
export async function measureRound(
  tested: ChildProcess,
  stub: ChildProcess,
  flood: () => Promise<Outcome>
): Promise<Round> {
  const read = () => ({ tested: cpuSeconds(tested), stub: cpuSeconds(stub), core: coreTicks(TESTED_CORE) })
  const before = read()
  const { requests, seconds, cpuSeconds: loadSeconds } = await flood()
  const after = read()
  const testedSeconds = after.tested - before.tested
  const all = after.core.all - before.core.all
  return {
    requestsPerSecond: requests / seconds,
    cpuMicros: (testedSeconds / requests) * 1e6,
    ownCore: testedSeconds / seconds,
    othersOnCore: Math.max(0, (after.core.used - before.core.used - testedSeconds * TICKS_PER_SECOND) / all),
    loadCore: (after.stub - before.stub + loadSeconds) / seconds
  }
}
