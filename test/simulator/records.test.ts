import t from 'tap'
import { SEED } from './seed.ts'
import { TICKET } from './seed-objects.ts'
import { openSimulator, RECORD_PATH } from './test-client.ts'

const BUSINESS_PATH = `/objects/business/records/${SEED.businessRecordId}`

t.test('the location is read from the query only', async (t) => {
  const { put } = await openSimulator(t)
  const { locationId } = SEED

  t.match(await put({ locationId }), {
    status: 422,
    body: { message: ['property locationId should not exist'], error: 'Unprocessable Entity' }
  })
  t.match(await put({ locationId }, ''), {
    status: 422,
    body: { message: ['locationId must be a string', 'locationId should not be empty'] }
  })
  t.match(await put({}, ''), {
    status: 404,
    body: { message: `Custom Object (${SEED.schemaKey}) not found`, error: 'Not Found' }
  })
})

t.test('owners and followers change by deltas, up to their maximum, on custom objects only', async (t) => {
  const { put, simulator } = await openSimulator(t)
  const users = Array.from({ length: 10 }, (_, index) => `user${index}`)
  const cases: [body: object, message: string][] = [
    [{ owner: [] }, 'property owner should not exist'],
    [{ followers: [] }, 'followers must be an object'],
    [{ owners: { set: [] } }, 'owners.add must be an array'],
    [{ owners: { add: ['user1'] } }, 'owners must contain no more than 1 elements'],
    [{ followers: { add: users } }, 'followers must contain no more than 10 elements'],
    [{ properties: [] }, 'properties must be an object']
  ]

  for (const [body, message] of cases) {
    const reply = await put(body)
    t.match(reply, { status: 422, body: { message: [message], error: 'Unprocessable Entity', statusCode: 422 } })
  }
  const changed = await put({ owners: { add: ['user1'], remove: [SEED.userId] }, followers: { remove: [SEED.userId] } })
  const business = await put({ owners: { add: ['user1'] } }, undefined, BUSINESS_PATH)

  t.match(changed, { status: 200, body: { record: { owner: ['user1'], followers: ['v5cEPM428h8vShlRW1KT'] } } })
  t.strictSame(simulator.record(SEED.schemaKey, SEED.recordId)?.owner, ['user1'])
  t.match(business, { status: 422, body: { message: ['property owners should not exist'] } })
})

t.test('a missing record and a missing object have different answers', async (t) => {
  const { put, get } = await openSimulator(t)
  const ticket = (id: string) => `/objects/${SEED.schemaKey}/records/${id}`

  t.match(await put({}, undefined, ticket('42')), { status: 400, body: { message: '42 is not a valid ObjectId' } })
  t.match(await get(ticket('0'.repeat(24))), {
    status: 404,
    body: { message: `Record with id ${'0'.repeat(24)} not found` }
  })
  t.match(await get(ticket(SEED.secondRecordId)), { status: 404 }, 'a record of another location')
  t.match(await get('/objects/custom_objects.x'), {
    status: 404,
    body: { message: 'Custom Object (custom_objects.x) not found' }
  })
  t.match(await put({}, '', '/objects/records'), { status: 404, body: { message: 'Cannot PUT /objects/records' } })
  t.match(await get('/objects/%ff'), { status: 400 })
})

t.test('a body that is not a JSON object is rejected', async (t) => {
  const { put, call } = await openSimulator(t)
  const path = `${RECORD_PATH}?locationId=${SEED.locationId}`

  t.equal((await put([])).status, 400)
  t.equal((await call(path, { method: 'PUT', body: '{' })).status, 400)
  t.equal((await call(path, { method: 'PUT', body: '{}', headers: { 'content-type': 'text/plain' } })).status, 415)
})

t.test('the date of a record increases with every write, even if the clock stands still', async (t) => {
  const { put, simulator } = await openSimulator(t, { now: () => 1_800_000_000_000 })
  const dateUpdated = () => simulator.record(SEED.schemaKey, SEED.recordId)?.dateUpdated ?? ''

  const dates = [dateUpdated()]
  for (const ticket_name of ['a', 'b']) {
    await put({ properties: { ticket_name } })
    dates.push(dateUpdated())
  }

  t.strictSame([...new Set(dates)].sort(), dates)
})

t.test('a record is read with `owners` and `follower`, by its object’s key or id', async (t) => {
  const { get, simulator } = await openSimulator(t)
  const record = { id: SEED.recordId, owners: [SEED.userId], follower: [SEED.userId, 'v5cEPM428h8vShlRW1KT'] }

  t.match(await get(), { status: 200, body: { record } })
  t.match(await get(`/objects/${simulator.object(SEED.schemaKey)?.id}/records/${SEED.recordId}`), { body: { record } })
})

t.test('an object shows its fields on request, and never which ones are unique', async (t) => {
  const { get, simulator } = await openSimulator(t)
  const schema = structuredClone(TICKET)
  schema.fields.push({ name: 'Colour', fieldKey: 'custom_objects.ticket.colour', dataType: 'TEXT' })

  simulator.putObject(schema)
  const withFields = await get(`/objects/${SEED.schemaKey}`, `?locationId=${SEED.locationId}&fetchProperties=true`)
  const without = await get(`/objects/${SEED.schemaKey}`)

  t.match(withFields.body, { object: { key: SEED.schemaKey, locationId: SEED.locationId }, cache: true, fields: Array })
  t.match(JSON.stringify(withFields.body), '"fieldKey":"custom_objects.ticket.colour"')
  t.notMatch(JSON.stringify(withFields.body), '"unique"')
  t.notMatch(JSON.stringify(without.body), '"fieldKey"')
})
