import { type ChildProcess, execFileSync, type StdioOptions, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

const KILL_AFTER_MS = 5_000
/** The process under test has the first core to itself; this process, the load and the stub share the second. */
export const TESTED_CORE = '0'
const OTHER_CORE = '1'

export interface StartOptions {
  readonly env?: Record<string, string>
  readonly stdio?: StdioOptions
  readonly underTest?: boolean
}
export type Start = (args: readonly string[], options?: StartOptions) => ChildProcess

const QUIET: StdioOptions = ['ignore', 'ignore', 'inherit']

const running = new Set<ChildProcess>()

/** Says whether processes can be pinned to cores here, and if so pins this one and, by inheritance, its children. */
export function pinCores(): boolean {
  try {
    execFileSync('taskset', ['-c', TESTED_CORE, 'true'], { stdio: 'ignore' })
    execFileSync('taskset', ['-a', '-c', '-p', OTHER_CORE, String(process.pid)], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Starts Node. The environment is not inherited: a stray setting of the shell must not change what is measured. */
export const createStart =
  (pinned: boolean): Start =>
  (args, { env = {}, stdio = QUIET, underTest = false } = {}) => {
    const node = [process.execPath, ...args]
    const [command = '', ...rest] = pinned && underTest ? ['taskset', '-c', TESTED_CORE, ...node] : node
    const child = spawn(command, rest, {
      stdio,
      env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'production', ...env }
    })
    running.add(child)
    child.once('exit', () => running.delete(child))
    return child
  }

export async function end(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const impatience = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS)
  await gone
  clearTimeout(impatience)
}

export async function endAll(): Promise<void> {
  await Promise.all([...running].map(end))
}

const handedOut = new Set<number>()

/**
 * A port of 127.0.0.1 that was free a moment ago, from below the range in which the kernel picks: a port that it picks
 * it may pick again, for another contestant or for one of the many connections of the load.
 */
export async function freePort(): Promise<number> {
  const port = randomInt(20_000, 30_000)
  if (handedOut.has(port)) return freePort()
  const server = createServer().listen(port, '127.0.0.1')
  const isFree = await once(server, 'listening').then(
    () => true,
    () => false
  )
  if (!isFree) return freePort()
  server.close()
  await once(server, 'close')
  handedOut.add(port)
  return port
}
