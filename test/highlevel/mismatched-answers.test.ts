import t, { type Test } from 'tap'
import { SEED } from '../simulator/seed.ts'
import { RECORD, startGateway, startSimulator, until } from '../support/harness.ts'
import { answerBytes, startOutOfStep } from '../support/out-of-step.ts'

const OTHER = RECORD.replace(SEED.recordId, SEED.otherRecordId)
const number = (customer_number: number) => ({ properties: { customer_number } })

async function open(t: Test, env: Record<string, string> = {}) {
  const simulator = await startSimulator(t)
  const between = await startOutOfStep(t, simulator.origin)
  const gateway = await startGateway(t, { simulator, env: { HIGHLEVEL_API_URL: between.origin, ...env } })
  const warm = async () => (await gateway.patch(number(1))).status
  const counted = async () => {
    const text = await (await fetch(`${gateway.adminOrigin}/metrics`)).text()
    return Number(/^gateway_foreign_answers_total (\d+)/m.exec(text)?.[1])
  }
  const errors = () =>
    gateway.lines.map((line) => JSON.parse(line)).filter(({ level, msg }) => level === 50 && /another call/.test(msg))
  return { simulator, between, ...gateway, warm, counted, errors }
}

const recordOf = (id: string, more: object = {}) => answerBytes(200, { record: { id, properties: {}, ...more } })

t.test(
  'a write that gets another record’s answer is not told as done, and the connection serves no further call',
  async (t) => {
    const { between, patch, call, warm, counted, errors } = await open(t)
    t.equal(await warm(), 200)
    between.insertOnce('PUT', recordOf(SEED.otherRecordId))

    const reply = await patch(number(2))
    await until(() => between.connections() === 0)
    const next = await call(OTHER)
    const own = await call(RECORD)

    t.match(reply, {
      status: 502,
      json: { code: 'upstream-unreadable', applied: 'unknown', upstream: { status: 200 } }
    })
    t.match(next, { status: 200, json: { record: { id: SEED.otherRecordId } } })
    t.match(own, { status: 200, json: { record: { id: SEED.recordId, properties: { customer_number: 2 } } } })
    t.equal(await counted(), 1)
    t.equal(errors().length, 1)
  }
)

t.test('nobody gets the record of another location, whatever its id', async (t) => {
  const { between, call, warm, counted } = await open(t)
  await warm()
  between.insertOnce('GET', recordOf(SEED.recordId, { locationId: SEED.secondLocationId }))

  const reply = await call(RECORD)

  t.match(reply, { status: 502, json: { code: 'upstream-unreadable', applied: 'no' } })
  t.equal(await counted(), 1)
  t.equal((await call(RECORD)).status, 200)
})

t.test('an older answer of the same record proves nothing of a write: the record is read once more', async (t) => {
  const { between, patch, warm } = await open(t)
  await warm()
  between.insertOnce('PUT', recordOf(SEED.recordId, { properties: { customer_number: 1 } }))

  t.match(await patch(number(2)), { status: 200, json: { record: { properties: { customer_number: 2 } } } })
})

t.test('nothing is written on a record that was read for another call', async (t) => {
  const { simulator, between, patch, warm } = await open(t)
  await warm()
  simulator.clearReceived()
  between.insertOnce('GET', recordOf(SEED.otherRecordId, { owners: [], follower: [] }))

  const reply = await patch({ owner: ['newOwner'] })

  t.match(reply, { status: 502, json: { code: 'upstream-unreadable', applied: 'no' } })
  t.equal(simulator.received({ method: 'PUT' }).length, 0)
})

t.test('an answer that does not say of which record it is, is not taken', async (t) => {
  const { between, patch, warm } = await open(t)
  await warm()
  between.insertOnce('PUT', answerBytes(200, { record: { properties: { customer_number: 2 } } }))

  t.match(await patch(number(2)), { status: 502, json: { code: 'upstream-unreadable', applied: 'unknown' } })
})

t.test('a refusal that names another object proves nothing of a write', async (t) => {
  const { between, patch, warm } = await open(t)
  await warm()
  between.insertOnce(
    'PUT',
    answerBytes(404, { message: 'Custom Object (custom_objects.pet) not found', statusCode: 404 })
  )

  t.match(await patch(number(2)), { status: 502, json: { code: 'upstream-unreadable', applied: 'unknown' } })
})

for (const [title, body] of [
  ['another object', { object: { key: 'custom_objects.pet', id: '661c06b4ffde146bdb469440' }, fields: [] }],
  ['another location', { object: { key: SEED.schemaKey, locationId: SEED.secondLocationId }, fields: [] }]
] as const) {
  t.test(`the fields of ${title} are not taken for those of an object`, async (t) => {
    const { between, call, counted } = await open(t)
    between.insertOnce('GET', answerBytes(200, body))
    const path = `/objects/${SEED.schemaKey}?locationId=${SEED.locationId}`

    const reply = await call(path)

    // It is read once more, on a connection of which nothing is left over.
    t.match(reply, { status: 200, json: { title: 'Ticket' } })
    t.equal(await counted(), 1)
  })
}

t.test('an id in other letters is the same one, and an object may be asked for by its id', async (t) => {
  const { simulator, between, patch, call } = await open(t)
  const id = simulator.object(SEED.schemaKey)?.id ?? ''

  t.equal((await patch(number(3), {}, RECORD.replace(SEED.schemaKey, id))).status, 200)
  t.equal((await call(`/objects/${id}?locationId=${SEED.locationId}`)).status, 200)
  between.insertOnce('GET', recordOf(SEED.recordId.toUpperCase()))
  t.equal((await call(RECORD)).status, 200)
})

t.test('calls on other connections go on while one is ended', async (t) => {
  const { simulator, between, patch, warm } = await open(t)
  await warm()
  simulator.failNext({
    kind: 'slow',
    delayMs: 300,
    method: 'PUT',
    path: `/objects/${SEED.schemaKey}/records/${SEED.otherRecordId}`
  })
  const slow = patch(number(4), {}, OTHER)
  await until(() => simulator.received({ method: 'PUT' }).length === 2)
  between.insertOnce('PUT', recordOf(SEED.secondRecordId))

  t.equal((await patch(number(5))).status, 502)
  t.match(await slow, { status: 200, json: { record: { id: SEED.otherRecordId, properties: { customer_number: 4 } } } })
})
