import { monitorEventLoopDelay } from 'node:perf_hooks'
import t, { type Test } from 'tap'
import { SEED } from '../simulator/seed.ts'
import type { Fault, Simulator } from '../simulator/simulator.ts'
import {
  CHANGE,
  connectLocation,
  countOutcomes,
  PASS_THROUGH,
  patchAll,
  putRecords,
  recordId
} from '../support/calls.ts'
import { RECORD, type Reply, startGateway, startSimulator, type TestGateway, until } from '../support/harness.ts'
import { startProxy } from '../support/proxy.ts'

const PUTS = { method: 'PUT' } as const
const puts = (simulator: Simulator) => simulator.received(PUTS).length

const retried: { name: string; fault: Fault }[] = [
  { name: 'a connection that broke before the write', fault: { kind: 'reset-before' } },
  { name: 'a connection that broke after the write', fault: { kind: 'reset-after' } },
  ...[502, 503, 504].map((status) => ({ name: `a ${status}`, fault: { kind: 'status' as const, status, body: 'no' } })),
  { name: 'a 429', fault: { kind: 'status', status: 429, body: { message: 'Too Many Requests' } } },
  { name: 'a 429 with Retry-After', fault: { kind: 'status', status: 429, body: {}, headers: { 'retry-after': '1' } } }
]
for (const { name, fault } of retried) {
  t.test(`${name} is retried with the same bytes, and the caller does not notice`, async (t) => {
    const simulator = await startSimulator(t, { burstWindowMs: 1_000 })
    const gateway = await startGateway(t, { simulator, env: { LOCATION_BURST_WINDOW_MS: '1000' } })
    simulator.failNext({ ...fault, ...PUTS })

    const reply = await gateway.patch(CHANGE)

    t.equal(reply.status, 200)
    const [first, second] = simulator.received(PUTS)
    t.equal(puts(simulator), 2)
    t.equal(first?.body, second?.body)
    t.match(gateway.logged().at(-1), { msg: 'call', status: 200, attempts: 2 })
  })
}

const notRetried: { name: string; fault: Fault; code: string }[] = [
  { name: 'a 500', fault: { kind: 'status', status: 500, body: {} }, code: 'upstream-failed' },
  { name: 'a time-out', fault: { kind: 'hang' }, code: 'upstream-timeout' },
  { name: 'an answer that breaks off', fault: { kind: 'truncated' }, code: 'upstream-unreadable' }
]
for (const { name, fault, code } of notRetried) {
  t.test(`${name} is not retried`, async (t) => {
    const simulator = await startSimulator(t)
    const { patch } = await startGateway(t, { simulator, env: { UPSTREAM_TIMEOUT_MS: '200' } })
    simulator.failNext({ ...fault, ...PUTS })

    t.match((await patch(CHANGE)).json, { code, applied: 'unknown' })
    t.equal(puts(simulator), 1)
  })
}

t.test('applied is unknown when the first attempt may have written, whatever the last one met', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  simulator.failNext({ kind: 'reset-after', ...PUTS })
  simulator.failNext({ kind: 'status', status: 400, body: { message: 'No such thing' }, ...PUTS })

  const reply = await patch(CHANGE)

  t.match(reply.json, { status: 422, code: 'upstream-rejected', applied: 'unknown' })
  t.match(simulator.record(SEED.schemaKey, SEED.recordId), { properties: CHANGE.properties })
})

t.test('retries are a small share of the calls when everything fails', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 10_000 })
  const gateway = await startGateway(t, { simulator, env: { LOCATION_BURST_MAX: '10000' } })
  const statuses: number[] = []

  // Enough calls succeed for the circuit to stay closed.
  for (let round = 0; round < 40; round += 1) {
    simulator.failNext({ kind: 'status', status: 503, body: 'no', times: 4, ...PUTS })
    statuses.push((await gateway.patch(CHANGE)).status)
    simulator.clearFaults()
    for (let n = 0; n < 3; n += 1) statuses.push((await gateway.patch(CHANGE)).status)
  }

  t.strictSame(new Set(statuses), new Set([200, 502]))
  // Of 160 calls 40 could be retried three times. The budget is 20 retries, plus one for every ten calls.
  const retries = puts(simulator) - statuses.length
  t.ok(retries >= 30 && retries <= 36, `${retries} retries`)
})

t.test('an older write never overtakes a newer one of its record', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  simulator.failNext({ kind: 'slow', delayMs: 100, ...PUTS })
  simulator.failNext({ kind: 'reset-before', times: 2, ...PUTS })
  const numbers = Array.from({ length: 20 }, (_, n) => n)
  const sent: Promise<Reply>[] = []

  for (const n of numbers) {
    sent.push(patch({ properties: { customer_number: n } }))
    // Each is sent before the next one.
    await new Promise((resolve) => setTimeout(resolve, 5))
  }

  t.strictSame(countOutcomes(await Promise.all(sent)), { 200: 20 })
  const written = simulator.received(PUTS).map(({ body }) => JSON.parse(body).properties.customer_number)
  t.strictSame(
    written,
    written.toSorted((a, b) => a - b)
  )
  t.match(simulator.record(SEED.schemaKey, SEED.recordId), { properties: { customer_number: 19 } })
})

t.test('a write that waits for an earlier one is refused at its deadline, and not sent', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  simulator.failNext({ kind: 'slow', delayMs: 400, ...PUTS })
  const first = patch(CHANGE)
  await until(() => puts(simulator) === 1)

  const second = await patch(CHANGE, { headers: { 'x-request-timeout-ms': '50' } })

  t.match(second.json, { status: 504, code: 'deadline-exceeded', applied: 'no' })
  t.equal((await first).status, 200)
  t.equal((await patch(CHANGE)).status, 200, 'and the next write is sent')
  t.equal(puts(simulator), 2)
})

t.test('a caller of one location cannot delay writes to the records of another', async (t) => {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator })
  await connectLocation(gateway, simulator, SEED.secondLocationId)
  simulator.failNext({ kind: 'hang', ...PUTS })
  const stranger = RECORD.replace(SEED.locationId, SEED.secondLocationId)
  const hanging = gateway.patch(CHANGE, { headers: { 'x-request-timeout-ms': '3000' } }, stranger)
  await until(() => puts(simulator) === 1)

  t.equal((await gateway.patch(CHANGE, { headers: { 'x-request-timeout-ms': '1500' } })).status, 200)
  await hanging
})

t.test('after a pause one call goes first, and the others once it has passed', async (t) => {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator })
  const paths = putRecords(simulator, 21)
  simulator.failNext({ kind: 'status', status: 429, body: {}, headers: { 'retry-after': '1' }, times: 2, ...PUTS })
  const first = gateway.patch(CHANGE, {}, paths[0])
  await until(() => puts(simulator) === 1)

  const replies = [await first, ...(await patchAll(gateway, paths.slice(1)))]

  t.strictSame(countOutcomes(replies), { 200: 21 })
  t.equal(puts(simulator), 23, 'only the trial call was refused again')
})

/** A gateway whose connections to HighLevel pass a proxy, and three connected locations. */
async function startWithProxy(t: Test) {
  const simulator = await startSimulator(t, { burstMax: 100_000 })
  const { hostname: host, port } = new URL(simulator.origin)
  const proxy = await startProxy(t, { host, port: Number(port) })
  const env = { HIGHLEVEL_API_URL: `http://127.0.0.1:${proxy.port}`, LOCATION_BURST_MAX: '100000' }
  const gateway = await startGateway(t, { simulator, env })
  const locations = [SEED.locationId, SEED.secondLocationId, 'aThirdLocation']
  for (const id of locations.slice(1)) await connectLocation(gateway, simulator, id)
  const paths = locations.map((id) => putRecords(simulator, 1_000, id))
  let n = 0
  const ask = (headers: Record<string, string> = {}) => {
    n += 1
    return gateway.patch(CHANGE, { headers }, paths[n % 3]?.[Math.floor(n / 3) % 1_000])
  }
  return { simulator, proxy, gateway, ask }
}

/** Calls at a steady rate until it is stopped. Resolves with the replies, in the order in which the calls were sent. */
function load(ask: () => Promise<Reply>, everyMs: number) {
  const sent: Promise<{ reply: Reply; at: number; ms: number }>[] = []
  const one = async () => {
    const at = performance.now()
    return { reply: await ask(), at, ms: performance.now() - at }
  }
  const timer = setInterval(() => sent.push(one()), everyMs)
  return async () => {
    clearInterval(timer)
    return Promise.all(sent)
  }
}

/** For a longer outage: `OUTAGE_MS=20000 npx tap test/highlevel/resilience.test.ts`. */
const OUTAGE_MS = Number(process.env['OUTAGE_MS'] ?? 4_000)

for (const mode of ['cut', 'hang'] as const) {
  t.test(
    `while HighLevel is down (${mode}) calls are refused after two seconds, and sent again within five of its return`,
    async (t) => {
      const { proxy, gateway, ask } = await startWithProxy(t)
      const stop = load(() => ask({ 'x-request-timeout-ms': '8000' }), 10)
      await new Promise((resolve) => setTimeout(resolve, 500))
      const goneAt = performance.now()
      const goneTime = Date.now()
      proxy.set(mode)
      await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS))
      const backAt = performance.now()
      if (mode === 'hang') proxy.set('cut')
      proxy.set('pass')
      await new Promise((resolve) => setTimeout(resolve, 5_500))
      const calls = await stop()

      const meanwhile = calls.filter(({ at }) => at > goneAt + 2_000 && at < backAt)
      const refused = meanwhile.filter(({ reply }) => reply.json['code'] === 'upstream-unavailable')
      t.ok(meanwhile.length > 50)
      // All but one probe a second.
      t.ok(meanwhile.length - refused.length <= OUTAGE_MS / 1_000, `${refused.length} of ${meanwhile.length} refused`)
      t.ok(refused.every(({ reply }) => reply.headers.get('retry-after') === '1'))
      // A probe that failed may have written before its retry was refused.
      t.ok(refused.filter(({ reply }) => reply.json['applied'] !== 'no').length <= OUTAGE_MS / 1_000)
      // As the gateway logged them. Only calls that were never sent: the retry of a failed probe is refused too.
      const times = gateway
        .logged()
        .filter(({ code, attempts }) => code === 'upstream-unavailable' && attempts === 0)
        .filter(({ time, ms }) => Number(time) - Number(ms) > goneTime + 2_000)
        .map(({ ms }) => Number(ms))
        .sort((a, b) => a - b)
      const at = (share: number) => times[Math.ceil(times.length * share) - 1]
      t.comment(`${times.length} refused after ${at(0.5)} ms (p50), ${at(0.99)} ms (p99), ${at(1)} ms at most`)
      const afterwards = calls.filter(({ at }) => at > backAt + 5_000)
      t.strictSame(countOutcomes(afterwards.map(({ reply }) => reply)), { 200: afterwards.length })
      const lines = gateway.logged().filter(({ scope }) => scope === 'upstream')
      t.match(
        lines.map(({ msg }) => msg),
        ['circuit opened: calls to HighLevel are refused', 'circuit closed: HighLevel answers again']
      )
    }
  )
}

t.test('a location that gets nothing but 500s opens no circuit', async (t) => {
  const { simulator, gateway, ask } = await startWithProxy(t)
  const bad = `/objects/${SEED.schemaKey}/records/${recordId(1)}`
  simulator.putRecord(SEED.schemaKey, { id: recordId(1), locationId: 'aThirdLocation' })
  simulator.failNext({
    kind: 'status',
    status: 500,
    body: { message: 'Something went wrong' },
    times: 1_000,
    path: bad
  })
  const path = `/records/${SEED.schemaKey}/${recordId(1)}?locationId=aThirdLocation`

  const failing = Array.from({ length: 60 }, () => gateway.patch(CHANGE, {}, path))
  const others = Array.from({ length: 60 }, () => ask())

  t.strictSame(countOutcomes(await Promise.all(failing)), { '502 upstream-failed': 60 })
  t.strictSame(countOutcomes(await Promise.all(others)), { 200: 60 })
})

t.test('when the connections of one location break, only its calls are refused', async (t) => {
  const { simulator, gateway } = await startWithProxy(t)
  simulator.failNext({
    kind: 'reset-before',
    times: 1_000,
    path: `/objects/${SEED.schemaKey}/records/${SEED.recordId}`
  })

  const failing = await patchAll(gateway, new Array(30).fill(RECORD))
  const others = await patchAll(gateway, putRecords(simulator, 30, SEED.secondLocationId))

  t.ok((countOutcomes(failing)['503 upstream-unavailable'] ?? 0) > 10)
  t.strictSame(countOutcomes(others), { 200: 30 })
})

t.test('whatever fails, every call is answered in time, and its answer is true of the write', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 10_000 })
  const env = { LOCATION_BURST_MAX: '10000', UPSTREAM_TIMEOUT_MS: '300', LOCATION_QUEUE_MAX: '1000' }
  const gateway = await startGateway(t, { simulator, env })
  const locations = Array.from({ length: 20 }, (_, n) => `location${n}`)
  for (const id of locations) await connectLocation(gateway, simulator, id)
  const paths = locations.flatMap((id) => putRecords(simulator, 50, id))
  const kinds: Fault[] = [
    { kind: 'reset-before' },
    { kind: 'reset-after' },
    { kind: 'status', status: 429, body: {}, headers: { 'retry-after': '1' } },
    { kind: 'status', status: 429, body: {} },
    ...[502, 503, 504].map((status) => ({ kind: 'status' as const, status, body: 'no healthy upstream' })),
    { kind: 'html' },
    { kind: 'hang' },
    { kind: 'slow-body', delayMs: 200 },
    { kind: 'slow-body', delayMs: 600 }
  ]
  // Half of the calls meet a fault, in pseudo-random order.
  let seed = 42
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return seed / 2 ** 31
  }
  for (let n = 0; n < 500; n += 1) {
    const fault = kinds[Math.floor(random() * kinds.length)] ?? { kind: 'html' }
    simulator.failNext({ ...fault, ...PUTS, path: `/objects/${SEED.schemaKey}/records/${idOf(paths[n * 2] ?? '')}` })
    if (random() < 0.4) simulator.failNext({ ...fault, ...PUTS })
  }
  const DEADLINE_MS = 2_000
  const outcomes: { path: string; reply: Reply }[] = []
  // Locations take turns, as in production.
  const waiting = paths.map((_, n) => paths[(n % 20) * 50 + Math.floor(n / 20)] ?? '')
  const worker = async () => {
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
      const reply = await gateway.patch(CHANGE, { headers: { 'x-request-timeout-ms': String(DEADLINE_MS) } }, path)
      outcomes.push({ path, reply })
    }
  }
  const lag = monitorEventLoopDelay({ resolution: 10 })
  lag.enable()
  await Promise.all(Array.from({ length: 40 }, worker))
  lag.disable()

  const counts = countOutcomes(outcomes.map(({ reply }) => reply))
  t.comment(counts)
  t.equal(outcomes.length, 1_000)
  t.ok(Object.keys(counts).length > 4 && (counts['200'] ?? 0) > 50)
  const isStored = (path: string) => simulator.record(SEED.schemaKey, idOf(path))?.properties['customer_number'] === 5
  t.strictSame(
    outcomes.filter(({ path, reply }) => reply.status === 200 && !isStored(path)),
    [],
    'what is reported as stored is stored'
  )
  t.strictSame(
    outcomes
      .filter(({ path, reply }) => reply.json['applied'] === 'no' && isStored(path))
      .map(({ reply }) => reply.json),
    [],
    'what is reported as not stored is not stored'
  )
  // From the gateway's own log: the clients share this process with it and the simulator, and are late themselves.
  const calls = gateway.logged().filter(({ msg, method }) => msg === 'call' && method === 'PATCH')
  const latest = Math.max(...calls.map(({ ms }) => Number(ms)))
  const stalledMs = lag.max / 1e6
  t.equal(calls.length, 1_000)
  t.comment(
    `the slowest took ${Math.round(latest)} of ${DEADLINE_MS} ms; the event loop stalled for ${Math.round(stalledMs)} ms`
  )
  t.ok(latest < DEADLINE_MS + 50 + 5 * stalledMs)
})

const idOf = (path: string) => /records\/[^/]+\/([0-9a-f]{24})/.exec(path)?.[1] ?? ''

t.test('calls in flight are answered at shutdown, as far as HighLevel answers in time', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 2 })
  const gateway: TestGateway = await startGateway(t, {
    simulator,
    env: { SHUTDOWN_GRACE_MS: '1000', LOCATION_BURST_MAX: '2', ...PASS_THROUGH }
  })
  const [quick = '', slow = '', ...waiting] = putRecords(simulator, 4)
  simulator.failNext({ kind: 'slow', delayMs: 300, ...PUTS })
  simulator.failNext({ kind: 'hang', ...PUTS })
  const sent = [gateway.patch(CHANGE, {}, quick)]
  await until(() => puts(simulator) === 1)
  sent.push(gateway.patch(CHANGE, {}, slow))
  await until(() => puts(simulator) === 2)
  sent.push(...waiting.map((path) => gateway.patch(CHANGE, {}, path)))
  await new Promise((resolve) => setTimeout(resolve, 50))

  await gateway.close()

  const replies = await Promise.all(sent)
  t.strictSame(
    replies.map(({ status, json }) => `${status} ${json['code'] ?? ''} ${json['applied'] ?? ''}`.trim()),
    ['200', '503 shutting-down unknown', '503 shutting-down no', '503 shutting-down no']
  )
})

t.test('a call that is cut off while it reads has written nothing', async (t) => {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator, env: { SHUTDOWN_GRACE_MS: '1000', ...PASS_THROUGH } })
  simulator.failNext({ kind: 'hang', method: 'GET' })
  const sent = gateway.patch(CHANGE, { headers: { 'if-match': '"any"' } })
  await until(() => simulator.received({ method: 'GET' }).length === 1)

  await gateway.close()

  t.match((await sent).json, { code: 'shutting-down', applied: 'no' })
})
