import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import type { Scope } from '../support/harness.ts'
import { torture } from './torture.ts'

/**
 * `npm run torture -- --rounds N --seed S --busy B`: exits with 1 if a grant was lost. A round takes about 60 ms.
 * `--busy` runs B processes in endless loops beside it, to slow the machine down.
 */
const { values } = parseArgs({
  options: { rounds: { type: 'string' }, seed: { type: 'string' }, busy: { type: 'string' } }
})
const busyCount = Number(values.busy ?? 0)
const rounds = Number(values.rounds ?? 2_000)
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
if (![rounds, seed, busyCount].every(Number.isInteger) || rounds < 1 || busyCount < 0) {
  console.error('--rounds must be a positive integer, --seed an integer and --busy an integer of at least 0')
  process.exit(2)
}

const cleanups: (() => unknown)[] = []
const scope: Scope = { teardown: (cleanup: () => unknown) => void cleanups.unshift(cleanup) } as Scope

const busyLoops = Array.from({ length: busyCount }, () =>
  spawn(process.execPath, ['--eval', 'for (;;) {}'], { stdio: 'ignore' })
)
const killBusyLoops = () => {
  for (const loop of busyLoops) loop.kill('SIGKILL')
}
process.on('exit', killBusyLoops)

let closing: Promise<void> | undefined
const close = () => {
  closing ??= (async () => {
    for (const cleanup of cleanups) await cleanup()
  })()
  return closing
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => close().finally(() => process.exit(1)))

console.log(`torture: ${rounds} rounds of seed ${seed}, ${busyCount} busy loops`)
try {
  const { violations, ...found } = await torture(scope, seed, { rounds, gateways: 3, locations: 40 }, console.log)
  console.log(JSON.stringify(found))
  for (const violation of violations) console.log(`VIOLATION: ${violation}`)
  console.log(violations.length === 0 ? `No grant was lost (seed ${seed})` : `Grants were lost (seed ${seed})`)
  process.exitCode = violations.length === 0 ? 0 : 1
} finally {
  killBusyLoops()
  await close()
}
