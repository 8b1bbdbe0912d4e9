import t from 'tap'
import { SEED } from '../../simulator/seed.ts'
import {
  CHANGE,
  callAsOtherClient,
  connectLocation,
  countOutcomes,
  PASS_THROUGH,
  patchAll,
  putRecords
} from '../../support/calls.ts'
import { createClock } from '../../support/clock.ts'
import { startGateway, startSimulator, until } from '../../support/harness.ts'

/** Short enough for a test. Everything works as in a window of ten seconds. */
const WINDOW_MS = 1_000
const simulated = { burstWindowMs: WINDOW_MS }
const limits = (max: number, more: Record<string, string> = {}) => ({
  LOCATION_BURST_MAX: String(max),
  LOCATION_BURST_WINDOW_MS: String(WINDOW_MS),
  ...PASS_THROUGH,
  ...more
})
const puts = (path = '') => ({ method: 'PUT', path })

t.test('calls beyond a window’s quota wait for the next, and HighLevel refuses none', async (t) => {
  const simulator = await startSimulator(t, { ...simulated, burstMax: 20 })
  const gateway = await startGateway(t, { simulator, env: limits(20) })
  const paths = putRecords(simulator, 60)
  const startedAt = performance.now()

  const replies = await patchAll(gateway, paths)

  t.strictSame(countOutcomes(replies), { 200: 60 })
  t.equal(simulator.received(puts()).length, 60)
  t.equal(simulator.countInWindow(SEED.locationId), 20)
  t.ok(performance.now() - startedAt >= 2 * WINDOW_MS, 'in three windows')
  const waited = gateway.logged().filter(({ queueMs }) => Number(queueMs) > 100)
  t.equal(waited.length, 40)
})

t.test('a smaller quota than configured is learned from the first answer', async (t) => {
  const simulator = await startSimulator(t, { ...simulated, burstMax: 5 })
  const gateway = await startGateway(t, { simulator, env: limits(100) })
  const paths = putRecords(simulator, 20)
  await gateway.patch(CHANGE, {}, paths[0])

  const replies = await patchAll(gateway, paths.slice(1))

  t.strictSame(countOutcomes(replies), { 200: 19 })
  t.equal(simulator.countInWindow(SEED.locationId), 5)
})

t.test('a larger quota than configured is used', async (t) => {
  const simulator = await startSimulator(t, { ...simulated, burstMax: 50 })
  const gateway = await startGateway(t, { simulator, env: limits(2) })
  const paths = putRecords(simulator, 41)
  await gateway.patch(CHANGE, {}, paths[0])
  const startedAt = performance.now()

  await patchAll(gateway, paths.slice(1))

  t.ok(performance.now() - startedAt < WINDOW_MS)
})

t.test('a caller with few calls does not wait behind a busy one', async (t) => {
  const simulator = await startSimulator(t, { ...simulated, burstMax: 20 })
  const gateway = await startGateway(t, { simulator, env: limits(20) })
  await gateway.addKey('key_busy', 'of-the-busy-one', ['*'])
  const paths = putRecords(simulator, 120)
  const order: string[] = []
  const ask = async (key: string, path: string) => {
    const reply = await gateway.patch(CHANGE, { key }, path)
    order.push(`${key} ${reply.status}`)
  }

  const busy = paths.slice(0, 110).map((path) => ask('of-the-busy-one', path))
  await until(() => simulator.received(puts()).length === 20)
  const modest = paths.slice(110).map((path) => ask(gateway.key, path))
  await Promise.all(modest)

  // Twenty were sent already. In the next window the two callers take turns.
  t.ok(order.length <= 41, `served after ${order.length} calls`)
  await Promise.all(busy)
  t.ok(order.every((outcome) => outcome.endsWith(' 200')))
})

t.test('a busy location delays no other', async (t) => {
  const simulator = await startSimulator(t, { ...simulated, burstMax: 10 })
  const gateway = await startGateway(t, { simulator, env: limits(10) })
  await connectLocation(gateway, simulator, SEED.secondLocationId)
  const busy = patchAll(gateway, putRecords(simulator, 40))
  await until(() => simulator.received(puts()).length === 10)

  const others = await patchAll(gateway, putRecords(simulator, 10, SEED.secondLocationId))

  t.strictSame(countOutcomes(others), { 200: 10 })
  const lines = gateway.logged().filter(({ msg, location }) => msg === 'call' && location === SEED.secondLocationId)
  t.ok(lines.length === 10 && lines.every(({ queueMs }) => queueMs === 0))
  await busy
})

t.test('a call that would miss its deadline is refused at once, with a Retry-After', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 5, burstWindowMs: 60_000 })
  const env = limits(5, { LOCATION_BURST_WINDOW_MS: '60000' })
  const gateway = await startGateway(t, { simulator, env })
  const paths = putRecords(simulator, 6)
  await patchAll(gateway, paths.slice(1))

  const reply = await gateway.patch(CHANGE, {}, paths[0])

  t.match(reply.json, { status: 429, code: 'location-burst-exhausted', source: 'location', applied: 'no' })
  const seconds = Number(reply.headers.get('retry-after'))
  t.ok(seconds > 50 && seconds <= 61, `${seconds} s`)
  t.equal(simulator.received(puts()).length, 5)
  t.match(reply.headers.get('ratelimit'), /^"location-burst";r=0;t=(5\d|60)$/)
})

t.test('a call whose deadline passes in the queue is refused, and uses no quota', async (t) => {
  const simulator = await startSimulator(t, { ...simulated, burstMax: 1 })
  const gateway = await startGateway(t, { simulator, env: limits(1) })
  const [first = '', ...paths] = putRecords(simulator, 4)
  await gateway.patch(CHANGE, {}, first)

  // There is one permit a second, and each of the calls could have had it.
  const replies = await patchAll(gateway, paths, { headers: { 'x-request-timeout-ms': '1500' } })

  t.strictSame(countOutcomes(replies), { 200: 1, '429 location-burst-exhausted': 2 })
  t.equal(simulator.received(puts()).length, 2)
})

t.test('the queue is bounded, and a caller with few calls in it displaces a call of a busy one', async (t) => {
  const simulator = await startSimulator(t, { ...simulated, burstMax: 1 })
  const gateway = await startGateway(t, { simulator, env: limits(1, { LOCATION_QUEUE_MAX: '4' }) })
  await gateway.addKey('key_busy', 'of-the-busy-one', ['*'])
  const [first = '', ...paths] = putRecords(simulator, 8)
  await gateway.patch(CHANGE, {}, first)

  const busy = patchAll(gateway, paths.slice(0, 6), { key: 'of-the-busy-one' })
  await until(() => gateway.logged().filter(({ code }) => code === 'overloaded').length === 2)
  const modest = await gateway.patch(CHANGE, {}, paths[6])

  t.equal(modest.status, 200)
  const replies = await busy
  t.strictSame(countOutcomes(replies), { 200: 3, '503 overloaded': 3 })
  t.ok(replies.filter(({ status }) => status === 503).every(({ headers }) => Number(headers.get('retry-after')) >= 1))
})

t.test('a caller that hangs up while queued leaves the queue, and nothing is sent for it', async (t) => {
  const simulator = await startSimulator(t, { ...simulated, burstMax: 1 })
  const gateway = await startGateway(t, { simulator, env: limits(1) })
  const [first = '', second = '', third = ''] = putRecords(simulator, 3)
  await gateway.patch(CHANGE, {}, first)
  const hangUp = new AbortController()
  const given = fetch(gateway.origin + second, {
    method: 'PATCH',
    signal: hangUp.signal,
    headers: { authorization: `Bearer ${gateway.key}`, 'content-type': 'application/json' },
    body: JSON.stringify(CHANGE)
  }).catch(() => 'hung up')
  await until(async () => /gateway_calls_in_line 1/.test(await metricsOf(gateway)))

  hangUp.abort()

  t.equal(await given, 'hung up')
  t.equal((await gateway.patch(CHANGE, {}, third)).status, 200)
  t.equal(simulator.received(puts()).length, 2)
  t.match(
    gateway.logged().filter(({ hungUp }) => hungUp === true),
    [{ msg: 'call', status: 499, attempts: 0, record: /records\/[^/]+\/(\w+)/.exec(second)?.[1] ?? 'none' }]
  )
})

t.test('a write that was sent is finished and logged, though its caller has hung up', async (t) => {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator })
  simulator.failNext({ kind: 'slow', delayMs: 150, ...puts() })
  const hangUp = new AbortController()
  const given = fetch(gateway.origin + (putRecords(simulator, 1)[0] ?? ''), {
    method: 'PATCH',
    signal: hangUp.signal,
    headers: { authorization: `Bearer ${gateway.key}`, 'content-type': 'application/json' },
    body: JSON.stringify(CHANGE)
  }).catch(() => 'hung up')
  await until(() => simulator.received(puts()).length === 1)

  hangUp.abort()

  t.equal(await given, 'hung up')
  await until(() => gateway.logged().some(({ hungUp }) => hungUp === true))
  t.match(
    gateway.logged().filter(({ msg, route }) => msg === 'call' && /records/.test(String(route))),
    [{ hungUp: true, status: 499, attempts: 1, upstreamStatus: 200 }]
  )
})

t.test(
  'on a used-up day calls are refused at once with the time of its end, and HighLevel is not called',
  async (t) => {
    const simulator = await startSimulator(t, { dailyMax: 3 })
    const gateway = await startGateway(t, { simulator, env: PASS_THROUGH })
    const paths = putRecords(simulator, 5)
    for (const path of paths.slice(0, 3)) await gateway.patch(CHANGE, {}, path)

    const reply = await gateway.patch(CHANGE, {}, paths[3])

    t.match(reply.json, { status: 429, code: 'location-daily-exhausted', detail: /until \d{4}-\d\d-\d\dT00:00 UTC/ })
    const untilMidnight = 86_400 - ((Date.now() / 1_000) % 86_400)
    t.ok(Math.abs(Number(reply.headers.get('retry-after')) - untilMidnight) < 5)
    t.equal(simulator.received(puts()).length, 3)
    t.match(reply.headers.get('ratelimit'), /^"location-day";r=0;t=\d+$/)
    const low = gateway.logged().filter(({ msg }) => /low on its daily quota/.test(String(msg)))
    t.strictSame(
      low.map(({ left, of }) => [left, of]),
      [[0, 3]]
    )
    t.match(await metricsOf(gateway), /gateway_day_low_total\{left="5%"\} 1/)
  }
)

t.test('the day ends when HighLevel says so, and calls are sent again then', async (t) => {
  const clock = createClock(Date.UTC(2026, 0, 1, 10))
  const dayStartsMs = 14.5 * 3_600_000
  const simulator = await startSimulator(t, { dailyMax: 3, dayStartsMs, now: clock.now })
  const gateway = await startGateway(t, { simulator, env: PASS_THROUGH, now: clock.now })
  const paths = putRecords(simulator, 5)
  for (const path of paths.slice(0, 3)) await gateway.patch(CHANGE, {}, path)

  const refused = await gateway.patch(CHANGE, {}, paths[3])

  t.match(refused.json, { status: 429, code: 'location-daily-exhausted', detail: /until 2026-01-01T14:30 UTC/ })
  t.equal(refused.headers.get('retry-after'), String(4.5 * 3_600))
  t.match(refused.headers.get('ratelimit'), '"location-day";r=0;t=16200')
  clock.move(4.5 * 3_600_000)
  t.equal((await gateway.patch(CHANGE, {}, paths[3])).status, 200)
  t.equal(simulator.received(puts()).length, 4)
})

t.test('a Retry-After that is a date is passed on to the caller in seconds', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 0, burstWindowMs: 60_000, retryAfter: 'date' })
  const gateway = await startGateway(t, { simulator, env: PASS_THROUGH })

  const reply = await gateway.patch(CHANGE)

  t.match(reply.json, { status: 429, code: 'location-burst-exhausted' })
  t.equal(reply.headers.get('retry-after'), '60')
})

t.test('the RateLimit header names the policy that refused, with a time within its window', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 2, burstWindowMs: 10_000, retryAfter: 'none' })
  const env = { ...PASS_THROUGH, CALLER_RATE_MAX: '4', LOCATION_BURST_MAX: '2' }
  const gateway = await startGateway(t, { simulator, env })
  const paths = putRecords(simulator, 3)
  const soon = { headers: { 'x-request-timeout-ms': '1000' } }
  simulator.failNext({ kind: 'status', status: 429, headers: { 'retry-after': '300' }, ...puts() })

  const field = async (path = '') => (await gateway.patch(CHANGE, soon, path)).headers.get('ratelimit')

  t.equal(await field(paths[0]), '"location-burst";r=0;t=10', 'HighLevel asked for five minutes')
  t.equal(await field(paths[1]), '"location-burst";r=0;t=10')
  t.equal(await field(paths[1]), '"location-burst";r=0;t=10')
  t.equal(await field(paths[1]), '"location-burst";r=0;t=10', 'nothing is left of the caller’s limit either')
  t.match(await field(paths[1]), /^"caller";r=0;t=\d+$/)
})

t.test('the day is named when both the day and the window are used up', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 2, dailyMax: 2 })
  const gateway = await startGateway(t, { simulator, env: PASS_THROUGH })
  const paths = putRecords(simulator, 3)
  await patchAll(gateway, paths.slice(0, 2))

  const reply = await gateway.patch(CHANGE, {}, paths[2])

  t.equal(reply.json['code'], 'location-daily-exhausted')
  t.match(reply.headers.get('ratelimit'), /^"location-day";r=0;t=\d+$/)
})

t.test('a day quota of zero refuses every call', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator, env: { LOCATION_DAILY_MAX: '0', ...PASS_THROUGH } })

  t.match((await patch(CHANGE)).json, { status: 429, code: 'location-daily-exhausted' })
  t.strictSame(simulator.received(), [])
})

t.test('another client that uses half of the quota keeps its half', async (t) => {
  const simulator = await startSimulator(t, { ...simulated, burstMax: 40 })
  const gateway = await startGateway(t, { simulator, env: limits(40) })
  const paths = putRecords(simulator, 200)
  const token = simulator.privateToken()
  let isOver = false
  const other = (async () => {
    // Twenty a second, whatever becomes of them.
    while (!isOver) {
      void fetch(`${simulator.origin}/objects/${SEED.schemaKey}?locationId=${SEED.locationId}`, {
        headers: { authorization: `Bearer ${token}`, version: '2021-07-28' }
      }).then((answer) => answer.arrayBuffer())
      await new Promise((resolve) => setTimeout(resolve, WINDOW_MS / 20))
    }
  })()
  const refused = async () => Number(/gateway_quota_refusals_total (\d+)/.exec(await metricsOf(gateway))?.[1])

  await patchAll(gateway, paths.slice(0, 40))
  const before = await refused()
  const replies = await patchAll(gateway, paths.slice(40))

  isOver = true
  await other
  t.strictSame(countOutcomes(replies), { 200: 160 })
  t.ok((await refused()) - before <= 2, `${(await refused()) - before} refusals`)
})

t.test('after a 429 nothing is reserved for other clients that are gone', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const gateway = await startGateway(t, { simulator, env: PASS_THROUGH })
  const paths = putRecords(simulator, 60)
  await callAsOtherClient(simulator, 100)
  const refused = await gateway.patch(CHANGE, { headers: { 'x-request-timeout-ms': '500' } })
  t.equal(refused.json['code'], 'location-burst-exhausted')

  clock.move(10_000)

  // Half a window: those who wait for the next one are refused.
  const replies = await patchAll(gateway, paths, { headers: { 'x-request-timeout-ms': '5000' } })
  t.strictSame(countOutcomes(replies), { 200: 60 })
})

async function metricsOf({ adminOrigin }: { adminOrigin: string }): Promise<string> {
  return (await fetch(`${adminOrigin}/metrics`)).text()
}

t.test('a quota that shrinks while calls run costs the refusals of one window at most', async (t) => {
  const simulator = await startSimulator(t, { ...simulated, burstMax: 40 })
  const gateway = await startGateway(t, { simulator, env: limits(40) })
  const paths = putRecords(simulator, 120)
  const all = patchAll(gateway, paths)
  await until(() => simulator.received(puts()).length >= 60)

  simulator.setBurst(10)

  t.strictSame(countOutcomes(await all), { 200: 120 })
  t.ok(simulator.received(puts()).length - 120 <= 40, `${simulator.received(puts()).length - 120} refusals`)
})
