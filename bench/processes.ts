import { type ChildProcess, execFileSync, type StdioOptions, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

const KILL_AFTER_MS = 5_000
/** The contestant has the first core to itself. This process, the load and the stub share the second. */
export const TESTED_CORE = '0'
const OTHER_CORE = '1'

interface StartOptions {
  readonly env?: Record<string, string>
  readonly stdio?: StdioOptions
  readonly underTest?: boolean
}
export type StartProcess = (args: readonly string[], options?: StartOptions) => ChildProcess

const QUIET: StdioOptions = ['ignore', 'ignore', 'inherit']

const children = new Set<ChildProcess>()

/** Pins this process, and so its children, to a core. Returns whether that is possible here. */
export function pinCores(): boolean {
  try {
    execFileSync('taskset', ['-c', TESTED_CORE, 'true'], { stdio: 'ignore' })
    execFileSync('taskset', ['-a', '-c', '-p', OTHER_CORE, String(process.pid)], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Starts Node without the environment of the shell, whose settings could change what is measured. */
export const createStartProcess =
  (pinned: boolean): StartProcess =>
  (args, { env = {}, stdio = QUIET, underTest = false } = {}) => {
    const node = [process.execPath, ...args]
    const [command = '', ...rest] = pinned && underTest ? ['taskset', '-c', TESTED_CORE, ...node] : node
    const child = spawn(command, rest, {
      stdio,
      env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'production', ...env }
    })
    children.add(child)
    child.once('exit', () => children.delete(child))
    return child
  }

export async function stop(child: ChildProcess): Promise<void> {
  if (!children.has(child)) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const killTimer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS)
  await exited
  clearTimeout(killTimer)
}

export async function stopAll(): Promise<void> {
  await Promise.all([...children].map(stop))
}

const usedPorts = new Set<number>()

/**
 * A free port of 127.0.0.1, below the kernel's ephemeral range. From that range, the kernel could give the same port to
 * another contestant or to a connection of the load.
 */
export async function freePort(): Promise<number> {
  const port = randomInt(20_000, 30_000)
  if (usedPorts.has(port)) return freePort()
  const server = createServer().listen(port, '127.0.0.1')
  const isFree = await once(server, 'listening').then(
    () => true,
    () => false
  )
  if (!isFree) return freePort()
  server.close()
  await once(server, 'close')
  usedPorts.add(port)
  return port
}
