import { spawn } from 'node:child_process'

/**
 * Runs tap and ends with one line, `N passed, N failed`, that people and machines can read; the exit code is tap's. tap
 * counts in a line of its own, which is passed on as well.
 */
const tap = spawn('tap', process.argv.slice(2), { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
// tap does not hand every signal on to the files that it runs: they are in its group, and get it too.
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => void (tap.pid !== undefined && tap.exitCode === null && process.kill(-tap.pid, signal)))
}
let tail = ''
tap.stdout.on('data', (chunk: Buffer) => {
  process.stdout.write(chunk)
  tail = (tail + chunk.toString()).slice(-4_096)
})
tap.on('close', (code) => {
  const counts = /# \{([^{}]*)\}\s*(?:#[^\n]*\s*)*$/.exec(tail)?.[1] ?? ''
  const count = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(counts)?.[1] ?? 0)
  const [passed, failed, skipped] = [count('pass'), count('fail'), count('skip') + count('todo')]
  // A run that counted nothing, or failed by its coverage alone, must not look like one that passed.
  const shown = failed === 0 && code !== 0 ? 1 : failed
  process.stdout.write(`${passed} passed, ${shown} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`)
  process.exitCode = code ?? 1
})
