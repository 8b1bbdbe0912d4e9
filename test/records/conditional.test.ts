import { Redis } from 'ioredis'
import t from 'tap'
import { SEED } from '../simulator/seed.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { CHANGE, tally } from '../support/calls.ts'
import { RECORD, startGateway, startSimulator, type TestGateway, until } from '../support/harness.ts'
import { startProxy } from '../support/proxy.ts'
import { redisAddress, redisUrl, withRedis } from '../support/redis.ts'

const stored = (simulator: Simulator) => simulator.record(SEED.schemaKey, SEED.recordId)
const keysOf = () =>
  [`rg:{${SEED.locationId} ${SEED.recordId}}:queue`, `rg:{${SEED.locationId} ${SEED.recordId}}:ends`] as const
const tagOf = async ({ call }: Pick<TestGateway, 'call'>) => (await call(RECORD)).headers.get('etag') ?? ''
const when = (tag: string) => ({ headers: { 'if-match': tag } })

for (const status of [400, 422]) {
  t.test(`a read that is refused with ${status} speaks of no values, and is asked for once`, async (t) => {
    const simulator = await startSimulator(t)
    const { call, patch } = await startGateway(t, { simulator })
    await patch(CHANGE)
    simulator.clearReceived()
    simulator.failNext({ kind: 'status', status, body: { message: 'Ticket Name is odd' }, method: 'GET', times: 100 })
    const told = { status: 502, code: 'upstream-contract-changed', applied: 'no', errors: undefined }
    const asked = () => simulator.received().length

    const read = await call(RECORD)
    const readsOfOne = asked()
    const written = await patch({ properties: { ticket_name: 'x', section_of_app: ['contacts'] } })
    const readsOfWrite = asked() - readsOfOne
    const described = await call(`/objects/business?locationId=${SEED.locationId}`)
    const readsOfObject = asked() - readsOfOne - readsOfWrite

    for (const { json, text } of [read, written, described]) {
      t.match(json, told)
      t.notMatch(text, /values|the write/)
    }
    t.strictSame([readsOfOne, readsOfWrite, readsOfObject], [1, 1, 1])
    t.strictSame(simulator.received({ method: 'PUT' }), [], 'nothing is written on what was not read')
  })
}

t.test('a record that HighLevel does not find is not found, whatever status says so', async (t) => {
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

t.test('a record is read as HighLevel has it, with the tag of its last change', async (t) => {
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
  'a write on a tag goes through while the record is that one, and else is refused with the new tag',
  async (t) => {
    const simulator = await startSimulator(t)
    const gateway = await startGateway(t, { simulator })
    const old = await tagOf(gateway)

    const first = await gateway.patch(CHANGE, when(old))
    const second = await gateway.patch({ properties: { customer_number: 6 } }, when(old))
    const now = first.headers.get('etag') ?? ''
    const weak = await gateway.patch(CHANGE, when(`W/${now}`))
    const odd = await gateway.patch(CHANGE, when('no-quotes'))
    const among = await gateway.patch({ properties: { customer_number: 7 } }, when(`"x", ${now}`))
    const any = await gateway.patch({ properties: { customer_number: 8 } }, when('*'))
    const gone = await gateway.patch(CHANGE, when('*'), RECORD.replace(SEED.recordId, 'f'.repeat(24)))

    t.equal(first.status, 200)
    t.match(second.json, { status: 412, code: 'precondition-failed', applied: 'no', retryable: false })
    t.equal(second.headers.get('etag'), now)
    t.match(weak.json, { status: 412 }, 'weak tags say nothing of a record’s bytes')
    t.match(odd.json, { status: 400, errors: [{ parameter: 'if-match' }] })
    t.equal(among.status, 200)
    t.equal(any.status, 200)
    t.match(gone.json, { status: 404 })
    t.match(stored(simulator)?.properties, { customer_number: 8 })
  }
)

/** Each reads, counts one more and writes on what it has read, until it gets through. */
async function count({ call, patch }: TestGateway, field: string): Promise<string[]> {
  const outcomes: string[] = []
  while (outcomes.at(-1) !== '200') {
    const read = await call(RECORD)
    const { properties = {} } = (read.json['record'] ?? {}) as { properties?: Record<string, unknown> }
    const next = Number(properties[field] ?? 0) + 1
    const reply = await patch({ properties: { [field]: next } }, when(read.headers.get('etag') ?? '"none"'))
    outcomes.push(reply.status === 200 ? '200' : String(reply.json['code']))
    if (reply.status !== 200 && reply.status !== 412) return outcomes
  }
  return outcomes
}

const wide = { LOCATION_BURST_MAX: '1000000', LOCATION_QUEUE_MAX: '1000', REQUEST_DEADLINE_MS: '60000' }

withRedis('of 200 writers on one tag through two processes exactly one gets through', async (t, REDIS_URL) => {
  const simulator = await startSimulator(t, { burstMax: 1_000_000 })
  const env = { ...wide, REDIS_URL }
  const gateways = [await startGateway(t, { simulator, env }), await startGateway(t, { simulator, env })] as const
  for (const { patch } of gateways) await patch(CHANGE)

  for (let round = 0; round < 3; round += 1) {
    const tag = await tagOf(gateways[0])
    const writes = Array.from({ length: 200 }, (_, n) =>
      gateways[n % 2 === 0 ? 0 : 1].patch({ properties: { customer_number: n } }, when(tag))
    )
    t.strictSame(tally(await Promise.all(writes)), { 200: 1, '412 precondition-failed': 199 })
  }
  const client = new Redis(REDIS_URL)
  t.teardown(() => client.disconnect())
  await until(async () => (await client.exists(...keysOf())) === 0)
})

withRedis('200 writers that count through two processes lose none of their counts', async (t, REDIS_URL) => {
  const simulator = await startSimulator(t, { burstMax: 1_000_000 })
  const env = { ...wide, REDIS_URL }
  const gateways = [await startGateway(t, { simulator, env }), await startGateway(t, { simulator, env })] as const
  await gateways[0].patch({ properties: { customer_number: 0 } })
  const writers = Array.from({ length: 200 }, (_, n) => n)

  // A few at a time: each of all the others would have to read anew for each that gets through.
  const outcomes: string[] = []
  const work = async (n: number) => {
    for (let writer = writers.shift(); writer !== undefined; writer = writers.shift()) {
      outcomes.push(...(await count(gateways[n % 2 === 0 ? 0 : 1], 'customer_number')))
    }
  }
  await Promise.all(Array.from({ length: 6 }, (_, n) => work(n)))

  t.equal(outcomes.filter((outcome) => outcome === '200').length, 200)
  t.strictSame([...new Set(outcomes)].sort(), ['200', 'precondition-failed'], `${outcomes.length} writes in all`)
  t.equal(stored(simulator)?.properties['customer_number'], 200)
})

withRedis('lists that two processes want at the same time never mix', async (t, REDIS_URL) => {
  const simulator = await startSimulator(t, { burstMax: 1_000_000 })
  const env = { ...wide, REDIS_URL }
  const gateways = [await startGateway(t, { simulator, env }), await startGateway(t, { simulator, env })] as const
  for (const { patch } of gateways) await patch(CHANGE)
  const lists = [
    ['contacts', 'workflows'],
    ['smartlist', 'calendars']
  ]

  for (let round = 0; round < 10; round += 1) {
    const write = (n: 0 | 1) => gateways[n].patch({ properties: { section_of_app: lists[n] } })
    t.strictSame(tally(await Promise.all([write(0), write(1)])), { 200: 2 })
    const held = [stored(simulator)?.properties['section_of_app']].flat().sort()
    t.ok(
      lists.some((list) => JSON.stringify([...list].sort()) === JSON.stringify(held)),
      held.join()
    )
  }
})

withRedis(
  'the turn of a process that died is waited for within the call’s time, and ends by itself',
  async (t, REDIS_URL) => {
    const simulator = await startSimulator(t)
    const gateway = await startGateway(t, { simulator, env: { REDIS_URL } })
    await until(async () => (await gateway.call('/readyz')).json['status'] === 'ready')
    const tag = await tagOf(gateway)
    const client = new Redis(REDIS_URL)
    t.teardown(() => client.disconnect())
    const [queue, ends] = keysOf()
    const die = async (leftMs: number) => {
      await client.zadd(queue, 1, 'of a process that died')
      await client.hset(ends, 'of a process that died', Date.now() + leftMs)
    }

    await die(60_000)
    const late = await gateway.patch(CHANGE, {
      headers: { 'if-match': tag, 'x-request-timeout-ms': '300' }
    })
    const plain = await gateway.patch({ properties: { ticket_name: 'x' } })
    await die(400)
    const since = performance.now()
    const patient = await gateway.patch(CHANGE, when(await tagOf(gateway)))

    t.match(late.json, { status: 504, code: 'deadline-exceeded', applied: 'no' })
    t.equal(plain.status, 200, 'who writes without having read waits for nobody')
    t.equal(patient.status, 200)
    t.ok(performance.now() - since >= 250)
    t.equal(simulator.received({ method: 'PUT' }).length, 2)
  }
)

t.test('without an answer of Redis conditional writes go on, each process by itself', async (t) => {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator, env: { REDIS_URL: 'redis://127.0.0.1:1/0' } })
  const tag = await tagOf(gateway)

  const replies = await Promise.all(Array.from({ length: 10 }, () => gateway.patch(CHANGE, when(tag))))

  t.strictSame(tally(replies), { 200: 1, '412 precondition-failed': 9 })
})

withRedis('while Redis hangs, who asks for a list or a condition is answered in time', async (t) => {
  const address = await redisAddress()
  if (address === undefined) return
  const proxy = await startProxy(t, address)
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator, env: { REDIS_URL: (await redisUrl(proxy.port)) ?? '' } })
  const tag = await tagOf(gateway)
  const list = { properties: { section_of_app: ['contacts'] } }
  await until(async () => (await gateway.call('/readyz')).json['status'] === 'ready')
  proxy.set('hang')
  // Which finds out that Redis is down.
  await gateway.patch(CHANGE, {}, RECORD.replace(SEED.recordId, 'f'.repeat(24)))
  /** The quickest of several: a busy machine is slow at times, who waits for Redis is slow each time. */
  const quickest = async (status: number, headers: Record<string, string>) => {
    let least = Number.POSITIVE_INFINITY
    for (let n = 0; n < 5; n += 1) {
      const since = performance.now()
      t.equal((await gateway.patch(list, { headers })).status, status)
      least = Math.min(least, performance.now() - since)
    }
    return least
  }

  // Far less than the half second for which a turn is waited for.
  const conditional = await quickest(504, { 'if-match': tag, 'x-request-timeout-ms': '100' })
  t.ok(conditional < 400, `${conditional} ms`)
  const wanted = await quickest(200, {})
  t.ok(wanted < 400, `${wanted} ms`)
})

t.test('a caller that hangs up before the write lets the next one have its turn', async (t) => {
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
  const next = await gateway.patch({ owner: ['another'] }, when(tag))

  t.equal(next.status, 200)
  t.ok(performance.now() - since < 5_000, 'it does not wait for what is read for nobody')
  t.strictSame(stored(simulator)?.owner, ['another'])
})

t.test('a write that asks for a condition which it cannot have is refused', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })

  const reply = await patch(CHANGE, { headers: { 'if-none-match': '*' } })

  t.match(reply.json, { status: 400, errors: [{ parameter: 'if-none-match', code: 'unsupported' }] })
  t.strictSame(simulator.received(), [])
})
