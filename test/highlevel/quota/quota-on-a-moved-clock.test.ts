import t, { type Test } from 'tap'
import type { Answer, LocationCall } from '../../../src/highlevel/call.ts'
import { createQuota } from '../../../src/highlevel/quota/quota.ts'
import { createClock } from '../../support/clock.ts'
import { createLocationCall } from '../calls.ts'

const WINDOW_MS = 10_000
/** A window counts as longer by this: by the padding, and by the thousandth in which answers share an entry. */
const MAX_PADDING_MS = 25 + WINDOW_MS / 1_000
const HOUR_MS = 3_600_000

const answer = (status: number, headers: Answer['headers'] = {}): Answer => ({ status, headers, body: Buffer.alloc(0) })

/** A quota without HighLevel: `reply` answers the calls that are sent. Nothing happens until the clock is moved. */
function setup(t: Test, burstMax: number, reply: (call: LocationCall) => Promise<Answer> = async () => answer(200)) {
  const clock = createClock()
  const startedAt = clock.monotonic()
  const quota = createQuota({
    clock,
    limits: { burstMax, windowMs: WINDOW_MS, dayMax: 100_000 },
    queueMax: 1_000,
    shared: undefined,
    log: { warn: () => undefined },
    countLow: () => undefined,
    countRefusal: () => undefined,
    circuit: { begin: () => undefined, end: () => undefined }
  })
  t.teardown(() => quota.close())
  const sentAt: number[] = []
  const layer = quota.layer((call) => {
    call.isSent = true
    sentAt.push(clock.monotonic() - startedAt)
    return reply(call)
  })
  const send = (deadlineMs = 60_000, locationId = 'location') => {
    const call = createLocationCall('PUT', locationId, deadlineMs, clock)
    return { call, sent: layer(call) }
  }
  return { clock, quota, sentAt, send }
}

t.test('calls beyond a window’s quota are sent when the window ends, not before and not later', async (t) => {
  const { clock, sentAt, send } = setup(t, 5)
  const calls = Array.from({ length: 12 }, () => send())

  await clock.pass(WINDOW_MS)
  t.equal(sentAt.length, 5)
  await clock.pass(MAX_PADDING_MS)
  t.equal(sentAt.length, 10)
  await clock.pass(WINDOW_MS)
  t.equal(sentAt.length, 10)
  await clock.pass(MAX_PADDING_MS)

  t.equal(sentAt.length, 12)
  await Promise.all(calls.map(({ sent }) => sent))
  const queueMs = calls.map(({ call }) => call.callRecord.queueMs)
  t.equal(queueMs[4], 0)
  t.equal(queueMs[5], WINDOW_MS + MAX_PADDING_MS)
  t.equal(queueMs[11], 2 * (WINDOW_MS + MAX_PADDING_MS))
})

t.test('whatever the latency, no window holds more calls than the quota, and no quota is left unused', async (t) => {
  const countedAt: number[] = []
  let n = 0
  const { clock, sentAt, send } = setup(t, 5, async () => {
    n += 1
    const latencyMs = (n * 379) % 1_500
    // HighLevel counts the call somewhere between its sending and its answer.
    const beforeMs = (n * 211) % (latencyMs + 1)
    await clock.sleep(beforeMs)
    countedAt.push(clock.monotonic())
    await clock.sleep(latencyMs - beforeMs)
    return answer(200)
  })

  const calls = Array.from({ length: 40 }, () => send(300_000))
  await clock.pass(100_000)
  await Promise.all(calls.map(({ sent }) => sent))

  const inWindow = (from: number) => countedAt.filter((at) => at >= from && at < from + WINDOW_MS).length
  t.ok(countedAt.every((at) => inWindow(at) <= 5))
  // Eight windows, each longer by the slowest answer.
  t.ok((sentAt.at(-1) ?? 0) <= 7 * (WINDOW_MS + MAX_PADDING_MS + 1_500), `the last one was sent at ${sentAt.at(-1)}`)
})

t.test('a call that would miss its deadline is rejected at once, with the time until there is quota', async (t) => {
  const { sentAt, send } = setup(t, 1)
  await send().sent

  await t.rejects(send(WINDOW_MS).sent, { code: 'location-burst-exhausted', extras: { retryAfterSeconds: 11 } })

  t.equal(sentAt.length, 1)
})

t.test('a call whose deadline passes in the queue is rejected then, and uses no quota', async (t) => {
  const { clock, sentAt, send } = setup(t, 1, () => clock.sleep(100).then(() => answer(200)))
  const first = send()
  // The third seems to be in time after two windows, since nobody knows yet when the calls before it are answered.
  const deadlineMs = 2 * (WINDOW_MS + MAX_PADDING_MS) + 50
  const [second, third] = [send(deadlineMs), send(deadlineMs)]
  let isRejected = false
  const rejected = t.rejects(
    third.sent.finally(() => {
      isRejected = true
    }),
    { code: 'location-burst-exhausted' }
  )

  await clock.pass(deadlineMs - 1)
  t.notOk(isRejected)
  await clock.pass(1)

  t.ok(isRejected)
  await rejected
  await Promise.all([first.sent, second.sent])
  t.equal(sentAt.length, 2)
})

t.test('after a 429 nothing is sent for as long as HighLevel asks, and then one call alone', async (t) => {
  const answers = [answer(429, { 'retry-after': '30' })]
  const trial = Promise.withResolvers<Answer>()
  const { clock, sentAt, send } = setup(t, 100, async () => answers.shift() ?? trial.promise)
  await send().sent
  const waiting = Array.from({ length: 5 }, () => send())

  await clock.pass(29_999)
  t.equal(sentAt.length, 1)
  await clock.pass(1)
  t.equal(sentAt.length, 2)
  await clock.pass(5_000)
  t.equal(sentAt.length, 2, 'the others wait for the answer to the first')
  trial.resolve(answer(200))
  await Promise.all(waiting.map(({ sent }) => sent))

  t.equal(sentAt.length, 6)
})

t.test('idle locations are dropped, and those with waiting calls are not', async (t) => {
  const never = new Promise<Answer>(() => undefined)
  const { clock, quota, send } = setup(t, 1, ({ locationId }) =>
    locationId === 'hanging' ? never : Promise.resolve(answer(200))
  )
  await send(60_000, 'idle').sent
  void send(10 * HOUR_MS, 'hanging').sent

  clock.move(HOUR_MS)
  t.ok(quota.report('idle'), 'it was used within the hour')
  clock.move(HOUR_MS)

  t.equal(quota.report('idle'), undefined)
  t.ok(quota.report('hanging'))
})

t.test('on closing, waiting calls are rejected, and nothing is sent any more', async (t) => {
  const { clock, quota, sentAt, send } = setup(t, 1)
  await send().sent
  const { sent } = send()

  quota.close()

  await t.rejects(sent, { code: 'shutting-down' })
  await t.rejects(send().sent, { code: 'shutting-down' })
  await clock.pass(2 * WINDOW_MS)
  t.equal(sentAt.length, 1)
})
