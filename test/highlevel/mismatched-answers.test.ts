import t, { type Test } from 'tap'
import { SEED } from '../simulator/seed.ts'
import { responseBytes, startDesyncedProxy } from '../support/desynced-proxy.ts'
import { RECORD, startGateway, startSimulator, until } from '../support/harness.ts'

const OTHER = RECORD.replace(SEED.recordId, SEED.otherRecordId)
const number = (customer_number: number) => ({ properties: { customer_number } })

async function open(t: Test, env: Record<string, string> = {}) {
  const simulator = await startSimulator(t)
  const proxy = await startDesyncedProxy(t, simulator.origin)
  const gateway = await startGateway(t, { simulator, env: { HIGHLEVEL_API_URL: proxy.origin, ...env } })
  const warm = async () => (await gateway.patch(number(1))).status
  const countMismatched = async () => {
    const text = await (await fetch(`${gateway.adminOrigin}/metrics`)).text()
    return Number(/^gateway_foreign_answers_total (\d+)/m.exec(text)?.[1])
  }
  const errors = () =>
    gateway.lines.map((line) => JSON.parse(line)).filter(({ level, msg }) => level === 50 && /another call/.test(msg))
  return { simulator, proxy, ...gateway, warm, countMismatched, errors }
}

const recordOf = (id: string, more: object = {}) => responseBytes(200, { record: { id, properties: {}, ...more } })

t.test('a write that gets another record’s answer is not reported as done, and its connection is ended', async (t) => {
  const { proxy, patch, call, warm, countMismatched, errors } = await open(t)
  t.equal(await warm(), 200)
  proxy.injectOnce('PUT', recordOf(SEED.otherRecordId))

  const reply = await patch(number(2))
  await until(() => proxy.connections() === 0)
  const next = await call(OTHER)
  const own = await call(RECORD)

  t.match(reply, {
    status: 502,
    json: { code: 'upstream-unreadable', applied: 'unknown', upstream: { status: 200 } }
  })
  t.match(next, { status: 200, json: { record: { id: SEED.otherRecordId } } })
  t.match(own, { status: 200, json: { record: { id: SEED.recordId, properties: { customer_number: 2 } } } })
  t.equal(await countMismatched(), 1)
  t.equal(errors().length, 1)
})

t.test('a caller never gets the record of another location, whatever its id', async (t) => {
  const { proxy, call, warm, countMismatched } = await open(t)
  await warm()
  proxy.injectOnce('GET', recordOf(SEED.recordId, { locationId: SEED.secondLocationId }))

  const reply = await call(RECORD)

  t.match(reply, { status: 502, json: { code: 'upstream-unreadable', applied: 'no' } })
  t.equal(await countMismatched(), 1)
  t.equal((await call(RECORD)).status, 200)
})

t.test('an older answer about the same record proves no write: the record is read once more', async (t) => {
  const { proxy, patch, warm } = await open(t)
  await warm()
  proxy.injectOnce('PUT', recordOf(SEED.recordId, { properties: { customer_number: 1 } }))

  t.match(await patch(number(2)), { status: 200, json: { record: { properties: { customer_number: 2 } } } })
})

t.test('nothing is written based on a record that was read for another call', async (t) => {
  const { simulator, proxy, patch, warm } = await open(t)
  await warm()
  simulator.clearReceived()
  proxy.injectOnce('GET', recordOf(SEED.otherRecordId, { owners: [], follower: [] }))

  const reply = await patch({ owner: ['newOwner'] })

  t.match(reply, { status: 502, json: { code: 'upstream-unreadable', applied: 'no' } })
  t.equal(simulator.received({ method: 'PUT' }).length, 0)
})

t.test('an answer without a record id is refused', async (t) => {
  const { proxy, patch, warm } = await open(t)
  await warm()
  proxy.injectOnce('PUT', responseBytes(200, { record: { properties: { customer_number: 2 } } }))

  t.match(await patch(number(2)), { status: 502, json: { code: 'upstream-unreadable', applied: 'unknown' } })
})

t.test('a refusal that names another object proves nothing about a write', async (t) => {
  const { proxy, patch, warm } = await open(t)
  await warm()
  proxy.injectOnce(
    'PUT',
    responseBytes(404, { message: 'Custom Object (custom_objects.pet) not found', statusCode: 404 })
  )

  t.match(await patch(number(2)), { status: 502, json: { code: 'upstream-unreadable', applied: 'unknown' } })
})

for (const [title, body] of [
  ['another object', { object: { key: 'custom_objects.pet', id: '661c06b4ffde146bdb469440' }, fields: [] }],
  ['another location', { object: { key: SEED.schemaKey, locationId: SEED.secondLocationId }, fields: [] }]
] as const) {
  t.test(`the fields of ${title} are not taken for those of an object`, async (t) => {
    const { proxy, call, countMismatched } = await open(t)
    proxy.injectOnce('GET', responseBytes(200, body))
    const path = `/objects/${SEED.schemaKey}?locationId=${SEED.locationId}`

    const reply = await call(path)

    // It is read once more, on a connection without a left-over answer.
    t.match(reply, { status: 200, json: { title: 'Ticket' } })
    t.equal(await countMismatched(), 1)
  })
}

t.test('an id in another case is the same id, and an object may be named by its id', async (t) => {
  const { simulator, proxy, patch, call } = await open(t)
  const id = simulator.object(SEED.schemaKey)?.id ?? ''

  t.equal((await patch(number(3), {}, RECORD.replace(SEED.schemaKey, id))).status, 200)
  t.equal((await call(`/objects/${id}?locationId=${SEED.locationId}`)).status, 200)
  proxy.injectOnce('GET', recordOf(SEED.recordId.toUpperCase()))
  t.equal((await call(RECORD)).status, 200)
})

t.test('calls on other connections go on when one is ended', async (t) => {
  const { simulator, proxy, patch, warm } = await open(t)
  await warm()
  simulator.failNext({
    kind: 'slow',
    delayMs: 300,
    method: 'PUT',
    path: `/objects/${SEED.schemaKey}/records/${SEED.otherRecordId}`
  })
  const slow = patch(number(4), {}, OTHER)
  await until(() => simulator.received({ method: 'PUT' }).length === 2)
  proxy.injectOnce('PUT', recordOf(SEED.secondRecordId))

  t.equal((await patch(number(5))).status, 502)
  t.match(await slow, { status: 200, json: { record: { id: SEED.otherRecordId, properties: { customer_number: 4 } } } })
})
