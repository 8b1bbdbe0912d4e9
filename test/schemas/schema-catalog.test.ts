import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { SEED } from '../simulator/seed.ts'
import { TICKET } from '../simulator/seed-objects.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { CHANGE } from '../support/calls.ts'
import { createClock } from '../support/clock.ts'
import { RECORD, startGateway, startSimulator, type TestGateway, until } from '../support/harness.ts'

const OBJECT = `/objects/${SEED.schemaKey}?locationId=${SEED.locationId}`
/** Matches the next fetch of the object, and reads of its records: their paths begin with the object's. */
const objectFetch = { method: 'GET', path: `/objects/${SEED.schemaKey}` }
const schemaFetches = (simulator: Simulator) =>
  simulator.received({ method: 'GET' }).filter(({ path }) => !path.includes('/records/'))
const stored = (simulator: Simulator) => simulator.record(SEED.schemaKey, SEED.recordId)?.properties ?? {}
const metricsOf = async ({ adminOrigin }: TestGateway) => (await fetch(`${adminOrigin}/metrics`)).text()

/** The ticket with these fields added, or replacing its own fields of the same keys. */
function ticketWith(...fields: (typeof TICKET.fields)[number][]) {
  const keys = new Set(fields.map(({ fieldKey }) => fieldKey))
  return { ...TICKET, fields: [...TICKET.fields.filter(({ fieldKey }) => !keys.has(fieldKey)), ...fields] }
}
const field = (key: string, dataType: string, name = 'A field', more: object = {}) => ({
  name,
  fieldKey: `${TICKET.key}.${key}`,
  dataType,
  ...more
})

t.test('a write that fails because the object has changed fetches the schema and is sent again', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 1_000 })
  const clock = createClock(Date.now())
  const { patch } = await startGateway(t, { simulator, now: clock.now })
  const write = (properties: object) => patch({ properties })
  await write({ ticket_name: 'x', type_of_ticket: 'bug', description: 'x' })

  simulator.putObject(ticketWith(field('engine', 'NUMERICAL')))
  const added = await write({ engine: 5 })
  clock.move(6_000)
  simulator.putObject(
    ticketWith(field('type_of_ticket', 'SINGLE_OPTIONS', 'Type', { options: [{ key: 'bug', label: 'Defect' }] }))
  )
  const renamed = await write({ type_of_ticket: 'Defect' })
  const renamedTo = stored(simulator)['type_of_ticket']
  clock.move(6_000)
  // HighLevel accepts a string for a list but stores nothing, as its answer shows.
  const options = [{ key: 'one', label: 'One' }]
  simulator.putObject(ticketWith(field('description', 'MULTIPLE_OPTIONS', 'Description', { options })))
  const lost = await write({ description: 'One' })
  const list = await write({ description: ['One'] })
  clock.move(6_000)
  simulator.putObject(ticketWith(field('description', 'NUMERICAL')))
  const typed = await write({ description: 5 })
  clock.move(6_000)
  simulator.putObject({ ...TICKET, fields: TICKET.fields.filter(({ fieldKey }) => !fieldKey.endsWith('ticket_name')) })
  const removed = await write({ ticket_name: 'x' })

  t.equal(added.status, 200)
  t.equal(renamed.status, 200)
  t.equal(renamedTo, 'bug')
  t.match(lost.json, {
    code: 'invalid-properties',
    applied: 'unknown',
    errors: [{ pointer: '/properties/description' }]
  })
  t.equal(list.status, 200)
  t.equal(typed.status, 200)
  t.match(removed.json, { code: 'invalid-properties', errors: [{ pointer: '/properties/ticket_name' }] })
})

t.test('a write that may have been stored stays `unknown` when a new schema then rejects it', async (t) => {
  const simulator = await startSimulator(t)
  const clock = createClock(Date.now())
  const { patch } = await startGateway(t, { simulator, now: clock.now })
  await patch(CHANGE)
  clock.move(6_000)
  simulator.failNext({ method: 'PUT', kind: 'status-after', status: 409, body: { message: 'Conflict' } })
  const options = [{ key: 'one', label: 'One' }]
  simulator.putObject(ticketWith(field('ticket_name', 'SINGLE_OPTIONS', 'Name', { options })))

  const reply = await patch({ properties: { ticket_name: 'Two' } })

  t.match(reply.json, { code: 'invalid-properties', applied: 'unknown' })
  t.equal(stored(simulator)['ticket_name'], 'Two')
})

t.test('without a schema, writes are sent unchecked, counted, and logged once', async (t) => {
  const cases: [why: string, prepare: (simulator: Simulator) => void][] = [
    [
      'scope',
      (simulator) => simulator.limitScopes(SEED.locationId, ['objects/record.write', 'objects/record.readonly'])
    ],
    [
      'endpoint',
      (simulator) =>
        simulator.failNext({
          ...objectFetch,
          kind: 'status',
          status: 404,
          body: { message: 'Cannot GET /objects' }
        })
    ],
    ['failed', (simulator) => simulator.failNext({ ...objectFetch, kind: 'status', status: 500, body: {} })],
    [
      'failed',
      (simulator) =>
        simulator.failNext({
          ...objectFetch,
          kind: 'status',
          status: 200,
          body: { object: { key: 'x' } }
        })
    ]
  ]
  for (const [why, prepare] of cases) {
    const simulator = await startSimulator(t)
    const gateway = await startGateway(t, { simulator })
    prepare(simulator)

    const first = await gateway.patch({ properties: { ticket_name: 'x', no_such_field: 1 } })
    const second = await gateway.patch(CHANGE)

    t.match(first.json, { code: 'upstream-rejected' }, `${why}: HighLevel decides`)
    t.equal(second.status, 200, why)
    t.equal(schemaFetches(simulator).length, 1, 'it is not fetched again at once')
    const lines = gateway.logged().filter(({ msg }) => String(msg).startsWith('schema unavailable'))
    t.match(lines, [{ location: SEED.locationId, object: SEED.schemaKey, why }])
    t.match(await metricsOf(gateway), new RegExp(`gateway_unchecked_writes_total\\{why="${why}"\\} 2`))
  }
})

t.test('a write does not wait for a schema until its own deadline', async (t) => {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator })
  simulator.failNext({ ...objectFetch, kind: 'hang' })

  const reply = await gateway.patch(CHANGE, { headers: { 'x-request-timeout-ms': '1000' } })

  t.equal(reply.status, 200)
  t.match(await metricsOf(gateway), /gateway_unchecked_writes_total\{why="slow"\} 1/)
  const [line] = gateway
    .logged()
    .filter(({ msg }) => msg === 'call')
    .slice(-1)
  t.ok(Number(line?.['schemaMs']) >= 450, `waited ${line?.['schemaMs']} ms`)
})

t.test('a call with a short deadline does not shorten how long others wait for a schema', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  simulator.failNext({ ...objectFetch, kind: 'slow', delayMs: 300 })

  const hasty = await patch(CHANGE, { headers: { 'x-request-timeout-ms': '100' } })
  const other = await patch({ properties: { section_of_app: 'contacts' } })

  t.equal(hasty.status, 200, 'sent unchecked, because no schema came in time')
  t.match(other.json, { code: 'invalid-properties', applied: 'no' })
})

t.test(
  'after the circuit was open, the first write is checked and the first request for a schema is answered',
  async (t) => {
    const breakCircuit = async ({ patch }: TestGateway, simulator: Simulator) => {
      simulator.failNext({ kind: 'reset-before', times: 1_000 })
      await Promise.all(Array.from({ length: 30 }, () => patch(CHANGE, {}, RECORD)))
      t.match((await patch(CHANGE)).json, { code: 'upstream-unavailable' })
      simulator.clearFaults()
    }
    const open = async () => {
      const simulator = await startSimulator(t)
      return { simulator, gateway: await startGateway(t, { simulator }) }
    }
    const [written, described] = [await open(), await open()]
    await breakCircuit(written.gateway, written.simulator)
    await breakCircuit(described.gateway, described.simulator)
    await sleep(2_200)

    const write = await written.gateway.patch({ properties: { section_of_app: 'contacts' } })
    const object = await described.gateway.call(OBJECT)

    t.match(write.json, { code: 'invalid-properties' })
    t.equal(object.status, 200)
    t.equal((await written.gateway.patch(CHANGE)).status, 200)
    t.equal((await described.gateway.patch(CHANGE)).status, 200)
  }
)

t.test('a write waits while the fetch of its schema is queued, instead of being sent unchecked', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 2, burstWindowMs: 2_000 })
  const env = { LOCATION_BURST_MAX: '2', LOCATION_BURST_WINDOW_MS: '2000' }
  const { patch, call } = await startGateway(t, { simulator, env })
  await Promise.all([call(RECORD), call(RECORD)])
  const write = (properties: object, ms: number) =>
    patch({ properties }, { headers: { 'x-request-timeout-ms': String(ms) } })

  const replies = await Promise.all([
    write({ type_of_ticket: 'Feature Request' }, 3_500),
    write({ section_of_app: 'contacts' }, 3_500),
    write({ money: 5 }, 200)
  ])

  t.match(replies, [
    { status: 200 },
    { json: { code: 'invalid-properties', applied: 'no' } },
    { json: { code: 'deadline-exceeded', applied: 'no' } }
  ])
  t.equal(stored(simulator)['type_of_ticket'], 'feature_request')
})

t.test('a caller that hangs up while the schema is fetched does not block the next write', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, origin, key } = await startGateway(t, { simulator })
  simulator.failNext({ ...objectFetch, kind: 'hang' })
  const leaving = new AbortController()
  const gone = fetch(`${origin}${RECORD}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify(CHANGE),
    signal: leaving.signal
  }).catch(() => 'gone')
  await until(() => schemaFetches(simulator).length === 1)
  const since = performance.now()
  leaving.abort()

  const reply = await patch({ followers: { add: ['new'] } })

  t.equal(await gone, 'gone')
  t.equal(reply.status, 200)
  t.ok(performance.now() - since < 2_000)
})

t.test('calls share one fetch of a schema, and a stale schema is used while it is fetched again', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 1_000 })
  const clock = createClock(Date.now())
  const { patch } = await startGateway(t, { simulator, now: clock.now })

  const many = await Promise.all(Array.from({ length: 20 }, () => patch(CHANGE)))
  const first = schemaFetches(simulator).length
  clock.move(4 * 60_000)
  await patch(CHANGE)
  const fresh = schemaFetches(simulator).length
  clock.move(2 * 60_000)
  simulator.failNext({ ...objectFetch, kind: 'hang' })
  const stale = await patch(CHANGE)

  t.strictSame([...new Set(many.map(({ status }) => status))], [200])
  t.equal(first, 1)
  t.equal(fresh, 1)
  t.equal(stale.status, 200, 'while the next fetch hangs')
  t.equal(schemaFetches(simulator).length, 2)
})

t.test('GET /objects answers the JSON Schema of an object, and 304 while it is unchanged', async (t) => {
  const simulator = await startSimulator(t)
  const { call, patch } = await startGateway(t, { simulator })

  const reply = await call(OBJECT)
  const tag = reply.headers.get('etag') ?? ''
  const same = await call(OBJECT, { headers: { 'if-none-match': tag } })
  const unknown = await call(OBJECT.replace('ticket', 'invoice'))
  const invalid = await call('/objects/..?locationId=a%20b&colour=1')
  simulator.limitScopes(SEED.secondLocationId, [])
  const forbidden = await call(OBJECT, { key: 'nobody' })

  t.equal(reply.status, 200)
  t.equal(reply.headers.get('content-type'), 'application/schema+json; charset=utf-8')
  t.match(reply.json, {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Ticket',
    type: 'object',
    additionalProperties: false,
    properties: {
      customer_number: { title: 'Customer Number', anyOf: [{ type: 'number' }, { type: 'null' }] },
      recieved_on: { anyOf: [{ type: 'string', format: 'date' }, { type: 'null' }] },
      'my_textbox_list.option_a': { anyOf: [{ type: 'string' }, { type: 'null' }] },
      type_of_ticket: { anyOf: [{ anyOf: [{ const: 'doubt', title: 'Doubt' }, {}, {}] }, { type: 'null' }] }
    }
  })
  t.match(tag, /^"[\w-]{22}-[\w.-]+"$/)
  t.equal(same.status, 304)
  t.equal(same.text, '')
  t.match(unknown.json, { status: 404, code: 'object-not-found' })
  t.match(invalid.json, { status: 404 })
  t.match(forbidden.json, { status: 401 })
  simulator.clearReceived()
  await patch(CHANGE)
  t.strictSame(schemaFetches(simulator), [], 'the write uses the schema that was fetched for the frontend')
})

t.test('an added option that HighLevel silently drops causes a new fetch of the schema', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  await patch(CHANGE)
  const options = [{ key: 'urgent', label: 'Urgent' }]
  simulator.putObject(ticketWith(field('tags', 'CHECKBOX', 'Tags', { options })))

  const reply = await patch({ properties: { tags: { add: ['billing', 'urgent'] } } })

  t.match(reply.json, {
    code: 'invalid-properties',
    applied: 'unknown',
    errors: [{ pointer: '/properties/tags/add/0', code: 'unknown-option' }]
  })
})

t.test('a conditional write that is sent again does not fail because of its own first attempt', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, call } = await startGateway(t, { simulator })
  const tag = (await call(RECORD)).headers.get('etag') ?? ''
  await patch({ properties: { tags: { add: [] }, my_textbox_list: {} } })
  const options = [{ key: 'late', label: 'Urgent' }]
  simulator.putObject(ticketWith(field('tags', 'CHECKBOX', 'Tags', { options })))

  const reply = await patch({ properties: { tags: { add: ['Urgent'] } } }, { headers: { 'if-match': tag } })

  t.equal(reply.status, 200)
  t.strictSame(stored(simulator)['tags'], ['late'])
  t.equal(simulator.received({ method: 'PUT' }).length, 2)
})

t.test('failing fetches of schemas neither stop writes nor open the circuit', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 10_000 })
  const gateway = await startGateway(t, { simulator, env: { LOCATION_BURST_MAX: '10000' } })
  const keys = Array.from({ length: 30 }, (_, n) => `custom_objects.thing_${n}`)
  for (const key of keys) {
    const fields = TICKET.fields.map((one) => ({ ...one, fieldKey: one.fieldKey.replace(TICKET.key, key) }))
    simulator.putObject({ ...TICKET, id: key, key, fields })
    simulator.putRecord(key, { id: SEED.recordId, locationId: SEED.locationId })
    simulator.failNext({ method: 'GET', path: `/objects/${key}`, kind: 'reset-before', times: 10 })
  }

  const replies = await Promise.all(keys.map((key) => gateway.patch(CHANGE, {}, RECORD.replace(SEED.schemaKey, key))))

  t.strictSame([...new Set(replies.map(({ status }) => status))], [200])
  t.notOk(gateway.logged().some(({ msg }) => msg === 'circuit opened: calls to HighLevel are refused'))
})

t.test('concurrent requests for a schema share one fetch', async (t) => {
  const simulator = await startSimulator(t)
  const { call } = await startGateway(t, { simulator })

  const replies = await Promise.all(Array.from({ length: 20 }, () => call(OBJECT)))

  t.strictSame([...new Set(replies.map(({ status }) => status))], [200])
  t.equal(schemaFetches(simulator).length, 1)
})

t.test('an expired schema is not used when no new one comes in time', async (t) => {
  const simulator = await startSimulator(t)
  const clock = createClock(Date.now())
  const { patch } = await startGateway(t, { simulator, now: clock.now })
  await patch(CHANGE)
  clock.move(9 * 3_600_000)
  simulator.putObject(ticketWith(field('engine', 'NUMERICAL')))
  simulator.failNext({ ...objectFetch, kind: 'hang' })

  const reply = await patch({ properties: { engine: 5 } }, { headers: { 'x-request-timeout-ms': '1000' } })

  t.equal(reply.status, 200, 'HighLevel decides')
})

t.test('an object whose fields come in another order counts as unchanged', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  await patch(CHANGE)
  simulator.putObject({ ...TICKET, fields: TICKET.fields.toReversed() })
  simulator.failNext({ method: 'PUT', kind: 'status', status: 422, body: { message: 'No' }, times: 5 })
  simulator.clearReceived()

  for (let n = 0; n < 5; n += 1) t.match((await patch(CHANGE)).json, { code: 'upstream-rejected' })

  t.equal(simulator.received({ method: 'PUT' }).length, 5, 'no write is sent twice')
  t.equal(schemaFetches(simulator).length, 1)
})
