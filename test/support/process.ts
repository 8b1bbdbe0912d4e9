import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Scope } from './harness.ts'

/** What has to end with this process, where a test breaks off without its teardown. */
const exitHooks = new Set<() => void>()
const runExitHooks = () => {
  for (const closer of exitHooks) closer()
  exitHooks.clear()
}
process.once('exit', runExitHooks)
// A process that ends by a signal has no `exit`.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.once(signal, () => {
    runExitHooks()
    // With a listener the signal ends nobody by itself. Whoever has more to close has this long.
    setTimeout(() => process.exit(1), 2_000).unref()
  })
}

/** Runs `closer`, which must not wait for anything, when this process ends, however it does short of SIGKILL. */
export function onProcessExit(closer: () => void): () => void {
  exitHooks.add(closer)
  return () => exitHooks.delete(closer)
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

/** Sends a signal to a process and to all that it started. False where none of them is left. */
function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  if (pid === undefined) return false
  try {
    return process.kill(-pid, signal)
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ESRCH') return false
    throw error
  }
}

/** A command that is ended with its test, and with it whatever it started. `env` is all of its environment. */
export function startCommand(t: Scope, [command = '', ...args]: string[], env: NodeJS.ProcessEnv, cwd = process.cwd()) {
  // In a process group of its own.
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const removeExitHook = onProcessExit(() => signalGroup(child, 'SIGKILL'))
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk))
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk))
  /** The exit code, or the signal that ended it. */
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  t.teardown(() => {
    signalGroup(child, 'SIGKILL')
    removeExitHook()
  })

  /** Resolves with the first match in what the process writes; rejects if it ends before. */
  const waitForOutput = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const check = () => {
        const found = pattern.exec(output.stdout + output.stderr)
        if (found) resolve(found)
      }
      child.stdout.on('data', check)
      child.stderr.on('data', check)
      ended.then((code) =>
        reject(new Error(`Ended with ${code} before it wrote ${pattern}: ${output.stdout}${output.stderr}`))
      )
      check()
    })

  return {
    child,
    output,
    ended,
    waitForOutput,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    /** The same for all that it started: what a terminal does with Ctrl-C. */
    killGroup: (signal: NodeJS.Signals) => signalGroup(child, signal),
    /** Whether it, or anything that it started, still runs. */
    isRunning: () => signalGroup(child, 0)
  }
}

interface ProcessOptions {
  cwd?: string
  /** The limit of open files, `ulimit -n`. */
  openFiles?: number
}

/** A Node process of this project, ended with its test. `env` stands in place of the test's own variables. */
export function startProcess(
  t: Scope,
  script: string,
  env: Record<string, string>,
  { cwd, openFiles }: ProcessOptions = {}
) {
  // NODE_OPTIONS carries the coverage of tap into the process.
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
