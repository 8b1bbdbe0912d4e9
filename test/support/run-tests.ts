import { type ChildProcess, spawn } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'

/**
 * npm test                    all tests, with coverage
 * npm test -- FILE…           these files, without coverage thresholds
 * npm run test:unit           the files that start no server, simulator or process: seconds
 *
 * Ends with one line, `N passed, N failed`, that people and machines can read; the exit code is tap's.
 */
function tapArguments(args: readonly string[]): string[] {
  const isUnit = args.includes('--unit')
  const given = args.filter((arg) => arg !== '--unit')
  const files = isUnit ? globSync('test/**/*.test.ts').filter(isUnitTest).sort() : []
  const isPart = isUnit || given.some((arg) => arg.endsWith('.ts'))
  return [...(isPart ? ['--disable-coverage'] : []), ...given, ...files]
}

/** Only the modules of test/support, apart from its clock, and of test/simulator start servers and processes. */
function isUnitTest(file: string): boolean {
  const startsServers = /from '(?:node:child_process|\..*\/(?:support\/(?!clock\.ts)|simulator\/))/
  return !file.startsWith('test/simulator/') && !startsServers.test(readFileSync(file, 'utf8'))
}

/** Sends signals to tap's whole process group, because tap does not forward all of them to the test files. */
function forwardSignals(tap: ChildProcess): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => void (tap.pid !== undefined && tap.exitCode === null && process.kill(-tap.pid, signal)))
  }
}

/** The end of tap's output holds its counts, such as `# { total: 3, pass: 3 }`. */
function summary(tail: string, code: number | null): string {
  const counts = /# \{([^{}]*)\}\s*(?:#[^\n]*\s*)*$/.exec(tail)?.[1] ?? ''
  const count = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(counts)?.[1] ?? 0)
  const [passed, failed, skipped] = [count('pass'), count('fail'), count('skip') + count('todo')]
  // A run that counted no test, or failed only on coverage, must not look like one that passed.
  const shown = failed === 0 && code !== 0 ? 1 : failed
  return `${passed} passed, ${shown} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`
}

const tap = spawn('tap', tapArguments(process.argv.slice(2)), { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
forwardSignals(tap)
let tail = ''
tap.stdout.on('data', (chunk: Buffer) => {
  process.stdout.write(chunk)
  tail = (tail + chunk.toString()).slice(-4_096)
})
tap.on('close', (code) => {
  process.stdout.write(summary(tail, code))
  process.exitCode = code ?? 1
})
