import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Scope } from './harness.ts'

/** Cleanup for when this process exits without running the teardown of its tests. */
const exitHooks = new Set<() => void>()
const runExitHooks = () => {
  for (const hook of exitHooks) hook()
  exitHooks.clear()
}
process.once('exit', runExitHooks)
// A process that is ended by a signal emits no `exit` event.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.once(signal, () => {
    runExitHooks()
    // A signal with a listener no longer ends the process. Other listeners get this long to close what they hold.
    setTimeout(() => process.exit(1), 2_000).unref()
  })
}

/**
 * Runs `hook`, which must be synchronous, when this process exits for any reason but SIGKILL. Returns a function that
 * removes it.
 */
export function onProcessExit(hook: () => void): () => void {
  exitHooks.add(hook)
  return () => exitHooks.delete(hook)
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<string> {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const address = holder.address()
  holder.close()
  await once(holder, 'close')
  return typeof address === 'object' ? String(address?.port) : ''
}

/** Sends a signal to a process and its descendants. Returns false if none of them is running. */
function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  if (pid === undefined) return false
  try {
    return process.kill(-pid, signal)
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ESRCH') return false
    throw error
  }
}

/** Starts a command, killed with its descendants when the test ends. `env` is its whole environment. */
export function startCommand(t: Scope, [command = '', ...args]: string[], env: NodeJS.ProcessEnv, cwd = process.cwd()) {
  // `detached` makes it the leader of a process group, which signalGroup addresses.
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const removeExitHook = onProcessExit(() => signalGroup(child, 'SIGKILL'))
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk))
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk))
  /** Resolves with the exit code, or the signal that ended the process. */
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  t.teardown(() => {
    signalGroup(child, 'SIGKILL')
    removeExitHook()
  })

  /** Resolves with the first match in the output. Rejects if the process ends before. */
  const waitForOutput = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const check = () => {
        const found = pattern.exec(output.stdout + output.stderr)
        if (found) resolve(found)
      }
      child.stdout.on('data', check)
      child.stderr.on('data', check)
      ended.then((code) =>
        reject(new Error(`Ended with ${code} before its output matched ${pattern}: ${output.stdout}${output.stderr}`))
      )
      check()
    })

  return {
    child,
    output,
    ended,
    waitForOutput,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    /** Signals the process and its descendants, as a terminal does on Ctrl-C. */
    killGroup: (signal: NodeJS.Signals) => signalGroup(child, signal),
    /** Whether the process or any of its descendants is still running. */
    isRunning: () => signalGroup(child, 0)
  }
}

interface ProcessOptions {
  cwd?: string
  /** The limit of open files, `ulimit -n`. */
  openFiles?: number
}

/** Starts a script of this project with Node, killed when the test ends. It does not inherit the test's environment. */
export function startProcess(
  t: Scope,
  script: string,
  env: Record<string, string>,
  { cwd, openFiles }: ProcessOptions = {}
) {
  // With NODE_OPTIONS, tap measures the coverage of the process as well.
  const inherited = {
    PATH: process.env['PATH'] ?? '',
    NODE_OPTIONS: process.env['NODE_OPTIONS'] ?? '',
    ...tapVariables()
  }
  const limit = openFiles === undefined ? [] : ['sh', '-c', `ulimit -n ${openFiles} && exec "$0" "$@"`]
  return startCommand(t, [...limit, process.execPath, script], { ...inherited, ...env }, cwd)
}

const tapVariables = () =>
  Object.fromEntries(
    Object.entries(process.env)
      .filter(([name]) => /^(_?TAP|_?_TAPJS)/.test(name))
      .map(([name, value]) => [name, value ?? ''])
  )
