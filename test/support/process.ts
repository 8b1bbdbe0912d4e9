import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Scope } from './harness.ts'

/** What still runs where a test breaks off without its teardown. */
const children = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/** A Node process of this project, ended with its test. `env` stands in place of the test's own variables. */
export function startProcess(t: Scope, script: string, env: Record<string, string>, cwd = process.cwd()) {
  // NODE_OPTIONS carries the coverage of tap into the process.
  const inherited = {
    PATH: process.env['PATH'] ?? '',
    NODE_OPTIONS: process.env['NODE_OPTIONS'] ?? '',
    ...tapVariables()
  }
  const child: ChildProcess = spawn(process.execPath, [script], {
    cwd,
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const output = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk: Buffer) => (output.stdout += chunk))
  child.stderr?.on('data', (chunk: Buffer) => (output.stderr += chunk))
  const ended = once(child, 'close').then(([code]) => Number(code))
  t.teardown(() => child.exitCode === null && child.kill('SIGKILL'))
  children.add(child)
  child.once('close', () => children.delete(child))

  /** Resolves with the first match in what the process writes; rejects if it ends before. */
  const writes = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = () => {
        const found = pattern.exec(output.stdout + output.stderr)
        if (found) resolve(found)
      }
      child.stdout?.on('data', look)
      child.stderr?.on('data', look)
      ended.then((code) =>
        reject(new Error(`Ended with ${code} before it wrote ${pattern}: ${output.stdout}${output.stderr}`))
      )
      look()
    })

  return { child, output, ended, writes, kill: (signal: NodeJS.Signals) => child.kill(signal) }
}

const tapVariables = () =>
  Object.fromEntries(
    Object.entries(process.env)
      .filter(([name]) => /^(_?TAP|_?_TAPJS)/.test(name))
      .map(([name, value]) => [name, value ?? ''])
  )
