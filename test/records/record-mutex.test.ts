import t from 'tap'
import { createRecordMutex } from '../../src/records/record-lock.ts'
import { createLocationCall } from '../highlevel/calls.ts'
import { createClock } from '../support/clock.ts'

const RECORD = 'a record'

/** A record that a first write holds. */
function setup(maxWaiting = 10) {
  const clock = createClock()
  const mutex = createRecordMutex(maxWaiting, clock)
  mutex.tryAcquire(RECORD)
  return { clock, mutex, callWithin: (ms: number) => createLocationCall('PUT', 'location', ms, clock) }
}

t.test('writes of a record wait for each other in the order in which they came', async (t) => {
  const { clock, mutex, callWithin } = setup()
  const order: string[] = []
  const calls = ['second', 'third'].map((name) => {
    const call = callWithin(60_000)
    return { call, acquired: mutex.acquire(RECORD, call).then(() => order.push(name)) }
  })
  t.ok(mutex.tryAcquire('another record'))

  for (const { acquired } of calls) {
    await clock.pass(1_000)
    mutex.release(RECORD)
    await acquired
  }

  t.strictSame(order, ['second', 'third'])
  t.strictSame(
    calls.map(({ call }) => call.callRecord.queueMs),
    [1_000, 2_000]
  )
})

t.test('a write that waits is rejected at its deadline, and does not block the next', async (t) => {
  const { clock, mutex, callWithin } = setup()
  let isRejected = false
  const late = t.rejects(
    mutex.acquire(RECORD, callWithin(5_000)).finally(() => {
      isRejected = true
    }),
    { code: 'deadline-exceeded' }
  )
  const next = mutex.acquire(RECORD, callWithin(60_000))

  await clock.pass(4_999)
  t.notOk(isRejected)
  await clock.pass(1)
  t.ok(isRejected)
  await late
  mutex.release(RECORD)

  await next
})

t.test('only so many writes wait for a record, and none after closing', async (t) => {
  const { mutex, callWithin } = setup(1)
  const waiting = mutex.acquire(RECORD, callWithin(60_000))
  t.throws(() => mutex.acquire(RECORD, callWithin(60_000)), { code: 'overloaded' })

  mutex.close()

  await t.rejects(waiting, { code: 'shutting-down' })
  t.throws(() => mutex.acquire(RECORD, callWithin(60_000)), { code: 'shutting-down' })
})
