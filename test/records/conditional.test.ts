import { Redis } from 'ioredis'
import t from 'tap'
import { SEED } from '../simulator/seed.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { CHANGE, countOutcomes } from '../support/calls.ts'
import { RECORD, startGateway, startSimulator, type TestGateway, until } from '../support/harness.ts'
import { startProxy } from '../support/proxy.ts'
import { redisAddress, redisUrl, withRedis } from '../support/redis.ts'

const stored = (simulator: Simulator) => simulator.record(SEED.schemaKey, SEED.recordId)
const queueKeys = () =>
  [`rg:{${SEED.locationId} ${SEED.recordId}}:queue`, `rg:{${SEED.locationId} ${SEED.recordId}}:ends`] as const
const tagOf = async ({ call }: Pick<TestGateway, 'call'>) => (await call(RECORD)).headers.get('etag') ?? ''
const ifMatch = (tag: string) => ({ headers: { 'if-match': tag } })

for (const status of [400, 422]) {
  t.test(`a read that HighLevel rejects with ${status} is sent once, and its error mentions no values`, async (t) => {
    const simulator = await startSimulator(t)
    const { call, patch } = await startGateway(t, { simulator })
    await patch(CHANGE)
    simulator.clearReceived()
    simulator.failNext({ kind: 'status', status, body: { message: 'Ticket Name is odd' }, method: 'GET', times: 100 })
    const expected = { status: 502, code: 'upstream-contract-changed', applied: 'no', errors: undefined }
    const requests = () => simulator.received().length

    const read = await call(RECORD)
    const readsOfOne = requests()
    const written = await patch({ properties: { ticket_name: 'x', section_of_app: ['contacts'] } })
    const readsOfWrite = requests() - readsOfOne
    const described = await call(`/objects/business?locationId=${SEED.locationId}`)
    const readsOfObject = requests() - readsOfOne - readsOfWrite

    for (const { json, text } of [read, written, described]) {
      t.match(json, expected)
      t.notMatch(text, /values|the write/)
    }
    t.strictSame([readsOfOne, readsOfWrite, readsOfObject], [1, 1, 1])
    t.strictSame(simulator.received({ method: 'PUT' }), [], 'nothing is written without having read the record')
  })
}

t.test('a record that HighLevel does not find is answered with 404, whatever status HighLevel uses', async (t) => {
  for (const absentRecordStatus of [400, 404] as const) {
    const simulator = await startSimulator(t, { absentRecordStatus })
    const { call, patch } = await startGateway(t, { simulator })
    const absent = RECORD.replace(SEED.recordId, 'a'.repeat(24))

    const read = await call(absent)
    const written = await patch(CHANGE, {}, absent)
    const readFirst = await patch({ properties: { section_of_app: ['contacts'] } }, {}, absent)

    for (const { json } of [read, written, readFirst]) {
      t.match(json, { status: 404, code: 'record-not-found', applied: 'no' })
    }
  }
})

t.test('a record is answered as HighLevel sends it, with a tag of its last change', async (t) => {
  const simulator = await startSimulator(t)
  const { call, patch, logged } = await startGateway(t, { simulator })

  const reply = await call(RECORD)
  const tag = reply.headers.get('etag') ?? ''
  const same = await call(RECORD, { headers: { 'if-none-match': `W/"x", ${tag}` } })
  const changed = await patch(CHANGE)
  const other = await call(RECORD, { headers: { 'if-none-match': tag } })
  const missing = await call(RECORD.replace(SEED.recordId, 'f'.repeat(24)))
  const odd = await call(`${RECORD}&dryRun=true`)

  t.match(reply.json, { record: { id: SEED.recordId, owners: [SEED.userId] }, traceId: String })
  t.equal(tag, `"${reply.json['record'] && (reply.json['record'] as { dateUpdated: string }).dateUpdated}"`)
  t.strictSame([same.status, same.text, same.headers.get('etag')], [304, '', tag])
  t.equal(other.status, 200)
  t.equal(other.headers.get('etag'), changed.headers.get('etag'))
  t.match(missing.json, { status: 404, code: 'record-not-found' })
  t.match(odd.json, { status: 400, errors: [{ parameter: 'dryRun', code: 'unknown-member' }] })
  t.ok(logged().some(({ method, record, status }) => method === 'GET' && record === SEED.recordId && status === 304))
})

t.test(
  'a write with If-Match succeeds while the record is unchanged, and fails with the new tag once it has changed',
  async (t) => {
    const simulator = await startSimulator(t)
    const gateway = await startGateway(t, { simulator })
    const old = await tagOf(gateway)

    const first = await gateway.patch(CHANGE, ifMatch(old))
    const second = await gateway.patch({ properties: { customer_number: 6 } }, ifMatch(old))
    const now = first.headers.get('etag') ?? ''
    const weak = await gateway.patch(CHANGE, ifMatch(`W/${now}`))
    const odd = await gateway.patch(CHANGE, ifMatch('no-quotes'))
    const among = await gateway.patch({ properties: { customer_number: 7 } }, ifMatch(`"x", ${now}`))
    const any = await gateway.patch({ properties: { customer_number: 8 } }, ifMatch('*'))
    const gone = await gateway.patch(CHANGE, ifMatch('*'), RECORD.replace(SEED.recordId, 'f'.repeat(24)))

    t.equal(first.status, 200)
    t.match(second.json, { status: 412, code: 'precondition-failed', applied: 'no', retryable: false })
    t.equal(second.headers.get('etag'), now)
    t.match(weak.json, { status: 412 }, 'If-Match never matches a weak tag')
    t.match(odd.json, { status: 400, errors: [{ parameter: 'if-match' }] })
    t.equal(among.status, 200)
    t.equal(any.status, 200)
    t.match(gone.json, { status: 404 })
    t.match(stored(simulator)?.properties, { customer_number: 8 })
  }
)

/** Increments a field: reads the record and writes it with If-Match, until a write succeeds. */
async function increment({ call, patch }: TestGateway, field: string): Promise<string[]> {
  const outcomes: string[] = []
  while (outcomes.at(-1) !== '200') {
    const read = await call(RECORD)
    const { properties = {} } = (read.json['record'] ?? {}) as { properties?: Record<string, unknown> }
    const next = Number(properties[field] ?? 0) + 1
    const reply = await patch({ properties: { [field]: next } }, ifMatch(read.headers.get('etag') ?? '"none"'))
    outcomes.push(reply.status === 200 ? '200' : String(reply.json['code']))
    if (reply.status !== 200 && reply.status !== 412) return outcomes
  }
  return outcomes
}

const highLimits = { LOCATION_BURST_MAX: '1000000', LOCATION_QUEUE_MAX: '1000', REQUEST_DEADLINE_MS: '60000' }

withRedis(
  'of 200 conditional writes with one tag through two processes, exactly one succeeds',
  async (t, REDIS_URL) => {
    const simulator = await startSimulator(t, { burstMax: 1_000_000 })
    const env = { ...highLimits, REDIS_URL }
    const gateways = [await startGateway(t, { simulator, env }), await startGateway(t, { simulator, env })] as const
    for (const { patch } of gateways) await patch(CHANGE)

    for (let round = 0; round < 3; round += 1) {
      const tag = await tagOf(gateways[0])
      const writes = Array.from({ length: 200 }, (_, n) =>
        gateways[n % 2 === 0 ? 0 : 1].patch({ properties: { customer_number: n } }, ifMatch(tag))
      )
      t.strictSame(countOutcomes(await Promise.all(writes)), { 200: 1, '412 precondition-failed': 199 })
    }
    const client = new Redis(REDIS_URL)
    t.teardown(() => client.disconnect())
    await until(async () => (await client.exists(...queueKeys())) === 0)
  }
)

withRedis('200 increments through two processes lose none', async (t, REDIS_URL) => {
  const simulator = await startSimulator(t, { burstMax: 1_000_000 })
  const env = { ...highLimits, REDIS_URL }
  const gateways = [await startGateway(t, { simulator, env }), await startGateway(t, { simulator, env })] as const
  await gateways[0].patch({ properties: { customer_number: 0 } })
  const writers = Array.from({ length: 200 }, (_, n) => n)

  // A few at a time: after each success, all other waiting writers must read again.
  const outcomes: string[] = []
  const work = async (n: number) => {
    for (let writer = writers.shift(); writer !== undefined; writer = writers.shift()) {
      outcomes.push(...(await increment(gateways[n % 2 === 0 ? 0 : 1], 'customer_number')))
    }
  }
  await Promise.all(Array.from({ length: 6 }, (_, n) => work(n)))

  t.equal(outcomes.filter((outcome) => outcome === '200').length, 200)
  t.strictSame([...new Set(outcomes)].sort(), ['200', 'precondition-failed'], `${outcomes.length} writes in all`)
  t.equal(stored(simulator)?.properties['customer_number'], 200)
})

withRedis('wanted lists written by two processes at the same time never mix', async (t, REDIS_URL) => {
  const simulator = await startSimulator(t, { burstMax: 1_000_000 })
  const env = { ...highLimits, REDIS_URL }
  const gateways = [await startGateway(t, { simulator, env }), await startGateway(t, { simulator, env })] as const
  for (const { patch } of gateways) await patch(CHANGE)
  const lists = [
    ['contacts', 'workflows'],
    ['smartlist', 'calendars']
  ]

  for (let round = 0; round < 10; round += 1) {
    const write = (n: 0 | 1) => gateways[n].patch({ properties: { section_of_app: lists[n] } })
    t.strictSame(countOutcomes(await Promise.all([write(0), write(1)])), { 200: 2 })
    const held = [stored(simulator)?.properties['section_of_app']].flat().sort()
    t.ok(
      lists.some((list) => JSON.stringify([...list].sort()) === JSON.stringify(held)),
      held.join()
    )
  }
})

withRedis(
  'a write waits for the lock of a process that died, within its deadline, and that lock expires',
  async (t, REDIS_URL) => {
    const simulator = await startSimulator(t)
    const gateway = await startGateway(t, { simulator, env: { REDIS_URL } })
    await until(async () => (await gateway.call('/readyz')).json['status'] === 'ready')
    const tag = await tagOf(gateway)
    const client = new Redis(REDIS_URL)
    t.teardown(() => client.disconnect())
    const [queue, ends] = queueKeys()
    const addDeadEntry = async (leftMs: number) => {
      await client.zadd(queue, 1, 'dead process')
      await client.hset(ends, 'dead process', Date.now() + leftMs)
    }

    await addDeadEntry(60_000)
    const late = await gateway.patch(CHANGE, {
      headers: { 'if-match': tag, 'x-request-timeout-ms': '300' }
    })
    const plain = await gateway.patch({ properties: { ticket_name: 'x' } })
    await addDeadEntry(400)
    const since = performance.now()
    const patient = await gateway.patch(CHANGE, ifMatch(await tagOf(gateway)))

    t.match(late.json, { status: 504, code: 'deadline-exceeded', applied: 'no' })
    t.equal(plain.status, 200, 'an unconditional write does not wait')
    t.equal(patient.status, 200)
    t.ok(performance.now() - since >= 250)
    t.equal(simulator.received({ method: 'PUT' }).length, 2)
  }
)

t.test('while Redis does not answer, each process still serializes its conditional writes', async (t) => {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator, env: { REDIS_URL: 'redis://127.0.0.1:1/0' } })
  const tag = await tagOf(gateway)

  const replies = await Promise.all(Array.from({ length: 10 }, () => gateway.patch(CHANGE, ifMatch(tag))))

  t.strictSame(countOutcomes(replies), { 200: 1, '412 precondition-failed': 9 })
})

withRedis('while Redis hangs, conditional writes and wanted lists are answered in time', async (t) => {
  const address = await redisAddress()
  if (address === undefined) return
  const proxy = await startProxy(t, address)
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator, env: { REDIS_URL: (await redisUrl(proxy.port)) ?? '' } })
  const tag = await tagOf(gateway)
  const list = { properties: { section_of_app: ['contacts'] } }
  await until(async () => (await gateway.call('/readyz')).json['status'] === 'ready')
  proxy.set('hang')
  // This call finds out that Redis is down.
  await gateway.patch(CHANGE, {}, RECORD.replace(SEED.recordId, 'f'.repeat(24)))
  /** The fastest of several: a busy machine is slow at times, but a call that waits for Redis is slow every time. */
  const fastestMs = async (status: number, headers: Record<string, string>) => {
    let least = Number.POSITIVE_INFINITY
    for (let n = 0; n < 5; n += 1) {
      const since = performance.now()
      t.equal((await gateway.patch(list, { headers })).status, status)
      least = Math.min(least, performance.now() - since)
    }
    return least
  }

  // Much less than the half second that a conditional write may wait for Redis.
  const conditional = await fastestMs(504, { 'if-match': tag, 'x-request-timeout-ms': '100' })
  t.ok(conditional < 400, `${conditional} ms`)
  const wanted = await fastestMs(200, {})
  t.ok(wanted < 400, `${wanted} ms`)
})

t.test('a caller that hangs up before its write does not block the next write', async (t) => {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator })
  const tag = await tagOf(gateway)
  simulator.clearReceived()
  simulator.failNext({ method: 'GET', kind: 'hang' })
  const leaving = new AbortController()
  const headers = { authorization: `Bearer ${gateway.key}`, 'content-type': 'application/json', 'if-match': tag }
  const body = JSON.stringify({ owner: ['somebody'] })
  const gone = fetch(gateway.origin + RECORD, { method: 'PATCH', headers, body, signal: leaving.signal }).catch(
    () => 'gone'
  )
  await until(() => simulator.received({ method: 'GET' }).length === 1)
  leaving.abort()
  t.equal(await gone, 'gone')

  const since = performance.now()
  const next = await gateway.patch({ owner: ['another'] }, ifMatch(tag))

  t.equal(next.status, 200)
  t.ok(performance.now() - since < 5_000, 'it does not wait for the abandoned read')
  t.strictSame(stored(simulator)?.owner, ['another'])
})

t.test('a write with an unsupported condition is rejected', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })

  const reply = await patch(CHANGE, { headers: { 'if-none-match': '*' } })

  t.match(reply.json, { status: 400, errors: [{ parameter: 'if-none-match', code: 'unsupported' }] })
  t.strictSame(simulator.received(), [])
})
