import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import type { Scope } from '../support/harness.ts'
import { torture } from './torture.ts'

/**
 * `npm run torture -- --rounds N --seed S --busy B`: ends with 1 where a grant was lost. Takes about 60 ms a round. `B`
 * busy loops run beside it.
 */
const { values } = parseArgs({
  options: { rounds: { type: 'string' }, seed: { type: 'string' }, busy: { type: 'string' } }
})
const busy = Number(values.busy ?? 0)
const rounds = Number(values.rounds ?? 2_000)
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
if (![rounds, seed, busy].every(Number.isInteger) || rounds < 1 || busy < 0) {
  console.error('--rounds, --seed and --busy take whole numbers')
  process.exit(2)
}

const closers: (() => unknown)[] = []
const scope: Scope = { teardown: (closer: () => unknown) => void closers.unshift(closer) } as Scope

const loops = Array.from({ length: busy }, () =>
  spawn(process.execPath, ['--eval', 'for (;;) {}'], { stdio: 'ignore' })
)
const endLoops = () => {
  for (const loop of loops) loop.kill('SIGKILL')
}
process.on('exit', endLoops)

let closing: Promise<void> | undefined
const close = () => {
  closing ??= (async () => {
    for (const closer of closers) await closer()
  })()
  return closing
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => close().finally(() => process.exit(1)))

console.log(`torture: ${rounds} rounds of seed ${seed}, ${busy} busy loops`)
try {
  const { violations, ...found } = await torture(scope, seed, { rounds, gateways: 3, locations: 40 }, console.log)
  console.log(JSON.stringify(found))
  for (const violation of violations) console.log(`VIOLATION: ${violation}`)
  console.log(violations.length === 0 ? `No grant was lost (seed ${seed})` : `Grants were lost (seed ${seed})`)
  process.exitCode = violations.length === 0 ? 0 : 1
} finally {
  endLoops()
  await close()
}
