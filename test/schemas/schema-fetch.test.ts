import t from 'tap'
import { createSchemaFetch, waitForFetch } from '../../src/schemas/schema-fetch.ts'
import { createClock } from '../support/clock.ts'

/** A call that waits for a fetch that never ends. */
function setup(deadlineMs: number) {
  const clock = createClock()
  const schemaFetch = createSchemaFetch()
  const { promise, resolve } = Promise.withResolvers<void>()
  schemaFetch.done = promise
  const wait = () => {
    const state = { isOver: false }
    const waiting = waitForFetch(clock, schemaFetch, clock.monotonic() + deadlineMs).finally(() => {
      state.isOver = true
    })
    return { state, waiting }
  }
  return { clock, schemaFetch, end: resolve, wait }
}

for (const { deadlineMs, waitMs, why } of [
  { deadlineMs: 60_000, waitMs: 5_000, why: 'five seconds' },
  { deadlineMs: 4_000, waitMs: 2_000, why: 'half of the time left' }
]) {
  t.test(`a call waits ${why} for a fetch that is on the wire, and no longer`, async (t) => {
    const { clock, schemaFetch, wait } = setup(deadlineMs)
    schemaFetch.isSent = true
    const { state, waiting } = wait()

    await clock.pass(waitMs - 1)
    t.notOk(state.isOver)
    await clock.pass(1)

    t.ok(state.isOver)
    await waiting
  })
}

t.test('a fetch that has been on the wire for five seconds is not waited for again', async (t) => {
  const { clock, schemaFetch, wait } = setup(60_000)
  schemaFetch.isSent = true
  const first = wait()
  await clock.pass(5_000)
  await first.waiting

  const { state } = wait()
  await clock.pass(1)

  t.ok(state.isOver)
})

t.test('a call waits until its deadline for a fetch that is not on the wire, and is rejected then', async (t) => {
  const { clock, wait } = setup(60_000)
  const { state, waiting } = wait()
  const rejected = t.rejects(waiting, { code: 'deadline-exceeded' })

  await clock.pass(59_999)
  t.notOk(state.isOver)
  await clock.pass(1)

  t.ok(state.isOver)
  await rejected
})

t.test('the time in the queue does not count as time on the wire', async (t) => {
  const { clock, schemaFetch, wait, end } = setup(60_000)
  const { state, waiting } = wait()
  await clock.pass(20_000)
  schemaFetch.isSent = true

  await clock.pass(4_900)
  t.notOk(state.isOver)
  end()

  await waiting
})
