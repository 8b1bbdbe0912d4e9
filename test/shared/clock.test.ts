import t from 'tap'
import { systemClock } from '../../src/shared/clock.ts'
import { createClock } from '../support/clock.ts'

for (const [name, clock] of Object.entries({ systemClock, 'the clock of the tests': createClock() })) {
  /** Lets the time pass: the real one by itself. */
  const pass = async (ms: number) => ('pass' in clock ? (clock as ReturnType<typeof createClock>).pass(ms) : undefined)

  t.test(`${name}: timers run in the order in which they are due, and cancelled ones not at all`, async (t) => {
    const ran: string[] = []
    const startedAt = clock.monotonic()
    clock.after(30, () => ran.push('later'))
    clock.after(10, () => ran.push('first'))
    clock.cancel(clock.after(20, () => ran.push('cancelled')))
    clock.cancel(undefined)
    const end = clock.sleep(60)

    await pass(60)
    await end

    t.strictSame(ran, ['first', 'later'])
    t.ok(clock.monotonic() - startedAt >= 59)
  })

  t.test(`${name}: a repeated timer runs until it is cancelled, and may cancel itself`, async (t) => {
    let runs = 0
    const timer = clock.every(5, () => {
      runs += 1
      if (runs === 3) clock.cancel(timer)
    })
    const end = clock.sleep(100)

    await pass(100)
    await end

    t.equal(runs, 3)
  })

  t.test(`${name}: a sleep is rejected with an AbortError when it is aborted, before or meanwhile`, async (t) => {
    const abort = new AbortController()
    const sleeping = clock.sleep(60_000, { signal: abort.signal })

    abort.abort()

    await t.rejects(sleeping, { name: 'AbortError' })
    await t.rejects(clock.sleep(60_000, { signal: abort.signal }), { name: 'AbortError' })
  })
}

t.test('the clock of the tests: setting the wall time back moves no monotonic time', (t) => {
  const clock = createClock(1_000_000)
  const startedAt = clock.monotonic()

  clock.move(-5_000)
  clock.move(1_000)

  t.equal(clock.now(), 996_000)
  t.equal(clock.monotonic(), startedAt + 1_000)
  t.end()
})
