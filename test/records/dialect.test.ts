import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { SEED } from '../simulator/seed.ts'
import { TICKET } from '../simulator/seed-objects.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { CHANGE } from '../support/calls.ts'
import { createClock, RECORD, startGateway, startSimulator, type TestGateway, until } from '../support/harness.ts'

const OBJECT = `/objects/${SEED.schemaKey}?locationId=${SEED.locationId}`
/** The next read of the object: its path is the beginning of its records' paths. */
const readOfObject = { method: 'GET', path: `/objects/${SEED.schemaKey}` }
const schemaReads = (simulator: Simulator) =>
  simulator.received({ method: 'GET' }).filter(({ path }) => !path.includes('/records/'))
const bodies = (simulator: Simulator) => simulator.received({ method: 'PUT' }).map(({ body }) => JSON.parse(body))
const stored = (simulator: Simulator) => simulator.record(SEED.schemaKey, SEED.recordId)?.properties ?? {}
const metricsOf = async ({ adminOrigin }: TestGateway) => (await fetch(`${adminOrigin}/metrics`)).text()

/** The ticket with these fields in place of its own of the same keys, or beside them. */
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

t.test('values that do not fit are all named at once, nothing is sent and nothing is counted', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  await patch(CHANGE)
  simulator.clearReceived()

  const reply = await patch({
    properties: {
      customer_nunber: 5,
      ticket_name: 5,
      money: '5 EUR',
      type_of_ticket: 'Buk',
      section_of_app: 'contacts',
      recieved_on: '',
      'custom_objects.ticket.phone_number': '0171',
      my_files: [{ url: 'x' }]
    }
  })

  t.match(reply.json, { status: 422, code: 'invalid-properties', source: 'caller', retryable: false, applied: 'no' })
  t.match(reply.json['errors'], [
    { pointer: '/properties/customer_nunber', code: 'unknown-field', detail: /did you mean "customer_number"\?/ },
    { pointer: '/properties/ticket_name', code: 'wrong-type' },
    { pointer: '/properties/money', code: 'wrong-type' },
    { pointer: '/properties/type_of_ticket', code: 'unknown-option', detail: /did you mean "bug"\?/ },
    { pointer: '/properties/section_of_app', code: 'wrong-type' },
    { pointer: '/properties/recieved_on', code: 'bad-date' },
    { pointer: '/properties/custom_objects.ticket.phone_number', code: 'bad-phone' },
    { pointer: '/properties/my_files/0/url', code: 'bad-url' }
  ])
  // Doubts of the copy are followed once: it may be the object that has changed.
  t.strictSame(simulator.received({ method: 'PUT' }), [])
  t.equal(simulator.received().length, 1)
  await patch({ properties: { ticket_name: 5 } })
  t.equal(simulator.received().length, 1, 'and not again while the object is the same')
})

t.test(
  'the documentation’s record goes round: each field is changed in turn, and is read as it was asked for',
  async (t) => {
    const simulator = await startSimulator(t)
    const { call, patch } = await startGateway(t, { simulator, env: { LOCATION_BURST_MAX: '1000' } })
    simulator.setBurst(1_000)
    const read = async () => (await call(RECORD)).json['record'] as { properties: Record<string, unknown> }
    const png = { url: 'https://files.example.com/another.png' }
    const changes: Record<string, unknown> = {
      customer_number: 1525,
      ticket_name: 'Customer able to log in',
      phone_number: '+917000000001',
      money: { currency: 'default', value: 120 },
      type_of_ticket: 'feature_request',
      section_of_app: ['workflows', 'contacts'],
      recieved_on: '2024-07-12',
      my_files: [png],
      'my_textbox_list.option_a': 'Value 3',
      'my_textbox_list.option_b': null,
      external_id: 'T-1'
    }
    let expected = (await read()).properties
    t.strictSame(Object.keys(changes).sort(), Object.keys(expected).sort(), 'every field of the example')

    for (const [key, value] of Object.entries(changes)) {
      const reply = await patch({ properties: { [key]: value } })
      t.equal(reply.status, 200, key)
      expected = { ...expected, [key]: value }
      const { properties } = await read()
      const sorted = (list: unknown) => (Array.isArray(list) ? [...list].sort() : list)
      t.strictSame(
        Object.fromEntries(Object.entries(properties).map(([name, held]) => [name, sorted(held)])),
        Object.fromEntries(Object.entries(expected).map(([name, held]) => [name, sorted(held)]))
      )
    }
    const whole = await patch({ properties: expected })

    t.equal(whole.status, 200, 'what is read can be sent back as a whole')
    t.match((await read()).properties, { customer_number: 1525, section_of_app: Array, my_files: [png] })
  }
)

t.test('lists become changes against the record, with one read of it; deltas take none', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  await patch(CHANGE)
  simulator.clearReceived()

  await patch({
    properties: { section_of_app: ['Contacts', 'workflows'], my_files: null, tags: ['urgent'], money: 5 },
    followers: [SEED.userId]
  })
  const byList = simulator.received().map(({ method }) => method)
  const [body] = bodies(simulator)
  simulator.clearReceived()
  await patch({ properties: { section_of_app: { add: ['Calendars'], remove: ['workflows'] } } })

  t.strictSame(byList, ['GET', 'PUT'])
  t.strictSame(body, {
    properties: {
      money: { currency: 'default', value: 5 },
      section_of_app: { add: ['workflows'], remove: ['smartlist'] },
      my_files: { remove: [{ url: 'https://files.example.com/screenshot.png' }] },
      tags: { add: ['urgent'] }
    },
    followers: { remove: ['v5cEPM428h8vShlRW1KT'] }
  })
  t.strictSame(
    simulator.received().map(({ method }) => method),
    ['PUT']
  )
  t.strictSame(stored(simulator)['section_of_app'], ['contacts', 'calendars'])
})

t.test('what is as it should be is left out, and where that is all, nothing is written', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })

  const some = await patch({ properties: { section_of_app: ['smartlist', 'contacts'], customer_number: 3 } })
  const [body] = bodies(simulator)
  simulator.clearReceived()
  const all = await patch({ properties: { section_of_app: ['smartlist', 'contacts'], my_textbox_list: {} } })

  t.equal(some.status, 200)
  t.strictSame(body, { properties: { customer_number: 3 } })
  t.match(all.json, { record: { id: SEED.recordId, properties: { customer_number: 3 } } })
  t.strictSame(
    simulator.received().map(({ method }) => method),
    ['GET']
  )
})

t.test('the owner of a business is refused, as HighLevel knows none', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  const path = `/records/business/${SEED.businessRecordId}?locationId=${SEED.locationId}`

  const refused = await patch({ properties: { name: 'Acme' }, owner: ['a'], followers: { add: ['b'] } }, {}, path)
  const taken = await patch({ properties: { name: 'Acme', city: 'Ulm', 'business.postalcode': '89073' } }, {}, path)

  t.match(refused.json, {
    code: 'invalid-properties',
    errors: [
      { pointer: '/owner', code: 'not-allowed' },
      { pointer: '/followers', code: 'not-allowed' }
    ]
  })
  t.equal(taken.status, 200)
  t.match(simulator.record('business', SEED.businessRecordId)?.properties, { name: 'Acme', postalcode: '89073' })
})

t.test('verbatim and unchecked: each of the two services can be turned off alone', async (t) => {
  const simulator = await startSimulator(t)
  const verbatim = await startGateway(t, { simulator, env: { WRITE_DIALECT: 'verbatim' } })
  const unchecked = await startGateway(t, { simulator, env: { SCHEMA_VALIDATION: 'off' } })
  const neither = await startGateway(t, {
    simulator,
    env: { SCHEMA_VALIDATION: 'off', WRITE_DIALECT: 'verbatim' }
  })
  simulator.clearReceived()

  const refused = await verbatim.patch({ properties: { ticket_name: 5 } })
  const untranslated = await verbatim.patch({ properties: { section_of_app: ['contacts'] } })
  const sentAsItCame = bodies(simulator)
  simulator.clearReceived()
  const translated = await unchecked.patch({ properties: { section_of_app: ['contacts'], money: 7 } })
  const [, put] = [simulator.received(), ...bodies(simulator)]
  const odd = await unchecked.patch({ properties: { ticket_name: 5, no_such_field: 1 } })
  const [oddPut] = bodies(simulator).slice(-1)
  simulator.clearReceived()
  await neither.patch({ properties: { section_of_app: ['contacts'], ticket_name: 5 } })

  t.match(refused.json, { code: 'invalid-properties' })
  t.match(untranslated.json, { code: 'upstream-rejected' })
  t.strictSame(sentAsItCame, [{ properties: { section_of_app: ['contacts'] } }])
  t.equal(translated.status, 200)
  t.match(put, { properties: { section_of_app: { remove: ['smartlist'] }, money: { value: 7 } } })
  t.match(odd.json, { code: 'upstream-rejected' })
  t.strictSame(oddPut, { properties: { ticket_name: 5, no_such_field: 1 } })
  t.strictSame(
    simulator.received().map(({ method, body }) => [method, body]),
    [['PUT', '{"properties":{"section_of_app":["contacts"],"ticket_name":5}}']]
  )
})

t.test('a dry run tells the write and its reads, and writes nothing', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, call, logged } = await startGateway(t, { simulator })
  const before = simulator.record(SEED.schemaKey, SEED.recordId)
  const dry = `${RECORD}&dryRun=true`
  const record = `/objects/${SEED.schemaKey}/records/${SEED.recordId}?locationId=${SEED.locationId}`

  const first = await patch({ properties: { money: 5, section_of_app: [] }, owner: ['new'] }, {}, dry)
  const faulty = await patch({ properties: { money: '5' } }, {}, dry)
  const nothing = await patch({ owner: [SEED.userId] }, {}, dry)
  const stale = await patch({ properties: { money: 5 } }, { headers: { 'if-match': '"of-old"' } }, dry)
  const wet = await patch(CHANGE, {}, `${RECORD}&dryRun=false`)
  const unconnected = await patch({ owner: { add: ['new'] } }, {}, dry.replace(SEED.locationId, 'neverConnected'))

  t.strictSame(first.json, {
    request: {
      method: 'PUT',
      path: record,
      body: {
        properties: {
          money: { currency: 'default', value: 5 },
          section_of_app: { remove: ['contacts', 'smartlist'] }
        },
        owners: { add: ['new'], remove: [SEED.userId] }
      }
    },
    reads: [
      { method: 'GET', path: `/objects/${SEED.schemaKey}?locationId=${SEED.locationId}&fetchProperties=true` },
      { method: 'GET', path: record }
    ]
  })
  t.match(faulty.json, { code: 'invalid-properties' })
  t.strictSame(nothing.json, { request: null, reads: [{ method: 'GET', path: record }] })
  t.match(stale.json, { code: 'precondition-failed' })
  t.match(unconnected.json, { status: 409, code: 'location-not-connected' })
  t.equal(simulator.received({ method: 'PUT' }).length, 1, 'dryRun=false writes')
  t.equal(wet.status, 200)
  t.match((await call(RECORD)).json, { record: { owners: before?.owner } })
  t.notMatch(JSON.stringify(first.json), /Bearer|authorization/i)
  t.ok(logged().some(({ route, status }) => route === '/records/:schemaKey/:id' && status === 200))
})

t.test('a refusal of HighLevel’s points to the members that it is about', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  const refuse = (message: string) =>
    simulator.failNext({ method: 'PUT', kind: 'status', status: 422, body: { message, statusCode: 422 } })
  const properties = { ticket_name: 'x', money: 5, 'custom_objects.ticket.external_id': 'T-9', customer_number: 1 }
  const messages: [message: string, ...pointers: string[]][] = [
    ["We couldn't apply updates to Ticket Name due to an unexpected format.", 'ticket_name'],
    ["We couldn't process file updates for Money.", 'money'],
    ['External ID is not what it was.', 'custom_objects.ticket.external_id'],
    ['Ticket Name, Money: no.', 'ticket_name', 'money'],
    ['The key customer_number is odd.', 'customer_number'],
    ['Something else.'],
    ['Moneyless Ticket Names']
  ]

  for (const [message, ...members] of messages) {
    refuse(message)
    const reply = await patch({ properties })
    const pointers = ((reply.json['errors'] ?? []) as { pointer: string }[]).map(({ pointer }) => pointer)
    t.equal(reply.json['code'], 'upstream-rejected', message)
    t.strictSame(
      pointers,
      members.map((member) => `/properties/${member}`),
      message
    )
  }
  await patch({ properties: { external_id: 'T-1424' } })
  simulator.putRecord(SEED.schemaKey, { id: 'a'.repeat(24), properties: { external_id: 'T-2' } })
  const clash = await patch({ properties: { 'custom_objects.ticket.external_id': 'T-2' } })
  t.match(clash.json, {
    code: 'duplicate-value',
    errors: [{ pointer: '/properties/custom_objects.ticket.external_id' }]
  })
})

t.test('an object that changes under the gateway is known with the write that meets it', async (t) => {
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
  // HighLevel takes a text for a list, and stores nothing: the loss is seen in its answer.
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

t.test('a write that may be stored stays so where what is known of its object then speaks against it', async (t) => {
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

t.test('values that HighLevel takes and stores as nothing are not answered as a success', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  await patch(CHANGE)
  const properties = { ticket_name: null, money: null, my_files: null, type_of_ticket: '', section_of_app: [] }
  const body = { record: { id: SEED.recordId, properties } }
  for (const method of ['PUT', 'GET']) simulator.failNext({ method, kind: 'status', status: 200, body })

  const lists = { my_files: { remove: [] }, section_of_app: { add: ['contacts'] } }
  const reply = await patch({ properties: { ticket_name: 'x', money: null, type_of_ticket: 'doubt', ...lists } })

  t.match(reply.json, { code: 'upstream-rejected', applied: 'unknown' })
  t.strictSame(
    (reply.json['errors'] as { pointer: string; code: string }[]).map(({ pointer, code }) => [pointer, code]).sort(),
    ['section_of_app', 'ticket_name', 'type_of_ticket'].map((name) => [`/properties/${name}`, 'not-stored'])
  )
})

t.test('without the fields of an object its writes go unchecked, are counted, and said once', async (t) => {
  const cases: [why: string, prepare: (simulator: Simulator) => void][] = [
    [
      'scope',
      (simulator) => simulator.limitScopes(SEED.locationId, ['objects/record.write', 'objects/record.readonly'])
    ],
    [
      'endpoint',
      (simulator) =>
        simulator.failNext({
          ...readOfObject,
          kind: 'status',
          status: 404,
          body: { message: 'Cannot GET /objects' }
        })
    ],
    ['failed', (simulator) => simulator.failNext({ ...readOfObject, kind: 'status', status: 500, body: {} })],
    [
      'failed',
      (simulator) =>
        simulator.failNext({
          ...readOfObject,
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

    t.match(first.json, { code: 'upstream-rejected' }, `${why}: HighLevel is the judge`)
    t.equal(second.status, 200, why)
    t.equal(schemaReads(simulator).length, 1, 'it is not asked for again at once')
    const lines = gateway.logged().filter(({ msg }) => String(msg).startsWith('schema unavailable'))
    t.match(lines, [{ location: SEED.locationId, object: SEED.schemaKey, why }])
    t.match(await metricsOf(gateway), new RegExp(`gateway_unchecked_writes_total\\{why="${why}"\\} 2`))
  }
})

t.test('a schema that does not come is not waited for to the end', async (t) => {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator })
  simulator.failNext({ ...readOfObject, kind: 'hang' })

  const reply = await gateway.patch(CHANGE, { headers: { 'x-request-timeout-ms': '1000' } })

  t.equal(reply.status, 200)
  t.match(await metricsOf(gateway), /gateway_unchecked_writes_total\{why="slow"\} 1/)
  const [line] = gateway
    .logged()
    .filter(({ msg }) => msg === 'call')
    .slice(-1)
  t.ok(Number(line?.['schemaMs']) >= 450, `waited ${line?.['schemaMs']} ms`)
})

t.test('who has little time does not decide how long others wait for a schema', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  simulator.failNext({ ...readOfObject, kind: 'slow', delayMs: 300 })

  const hasty = await patch(CHANGE, { headers: { 'x-request-timeout-ms': '100' } })
  const other = await patch({ properties: { section_of_app: 'contacts' } })

  t.equal(hasty.status, 200, 'unchecked, as no schema came in its time')
  t.match(other.json, { code: 'invalid-properties', applied: 'no' })
})

t.test(
  'when HighLevel answers again, the first write is checked, and whoever asks for an object is told',
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

t.test('a write does not go unchecked because its object’s read stands in line', async (t) => {
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

t.test('a caller who hangs up while the object is read lets the next one have its turn', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, origin, key } = await startGateway(t, { simulator })
  simulator.failNext({ ...readOfObject, kind: 'hang' })
  const leaving = new AbortController()
  const gone = fetch(`${origin}${RECORD}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify(CHANGE),
    signal: leaving.signal
  }).catch(() => 'gone')
  await until(() => schemaReads(simulator).length === 1)
  const since = performance.now()
  leaving.abort()

  const reply = await patch({ followers: { add: ['new'] } })

  t.equal(await gone, 'gone')
  t.equal(reply.status, 200)
  t.ok(performance.now() - since < 2_000)
})

t.test('a list for which the record holds something else is refused, with the way out', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  const unchecked = await startGateway(t, { simulator, env: { SCHEMA_VALIDATION: 'off' } })
  const properties = { section_of_app: 'a text of old' }
  simulator.putRecord(SEED.schemaKey, { id: SEED.recordId, locationId: SEED.locationId, properties })

  const refused = await patch({ properties: { section_of_app: ['contacts'] } })
  await unchecked.patch({ properties: { section_of_app: ['contacts'] } })
  t.strictSame(bodies(simulator).at(-1), { properties: { section_of_app: { add: ['contacts'] } } }, 'HighLevel judges')
  const cleared = await patch({ properties: { section_of_app: null } })
  const written = await patch({ properties: { section_of_app: ['contacts'] } })

  t.match(refused.json, {
    code: 'invalid-properties',
    applied: 'no',
    errors: [{ pointer: '/properties/section_of_app', code: 'conflict', detail: /clear it with null/ }]
  })
  t.strictSame([cleared.status, written.status], [200, 200])
  t.strictSame(stored(simulator)['section_of_app'], ['contacts'])
})

t.test('users are named once, and not both added and removed', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })

  const refused = await patch({ followers: { add: ['a', 'b'], remove: ['b'] }, owner: { add: ['c'] } })
  const twice = await patch({ followers: { add: ['a', 'a'] } })

  t.match(refused.json, { code: 'invalid-properties', errors: [{ pointer: '/followers', code: 'conflict' }] })
  t.equal(twice.status, 200)
  t.strictSame(bodies(simulator), [{ followers: { add: ['a'] } }])
})

t.test('one read serves all who wait, and a copy serves while the next one is read', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 1_000 })
  const clock = createClock(Date.now())
  const { patch } = await startGateway(t, { simulator, now: clock.now })

  const many = await Promise.all(Array.from({ length: 20 }, () => patch(CHANGE)))
  const first = schemaReads(simulator).length
  clock.move(4 * 60_000)
  await patch(CHANGE)
  const fresh = schemaReads(simulator).length
  clock.move(2 * 60_000)
  simulator.failNext({ ...readOfObject, kind: 'hang' })
  const stale = await patch(CHANGE)

  t.strictSame([...new Set(many.map(({ status }) => status))], [200])
  t.equal(first, 1)
  t.equal(fresh, 1)
  t.equal(stale.status, 200, 'while the read of the next one hangs')
  t.equal(schemaReads(simulator).length, 2)
})

t.test('a frontend can ask what an object takes, and whether that has changed', async (t) => {
  const simulator = await startSimulator(t)
  const { call, patch } = await startGateway(t, { simulator })

  const reply = await call(OBJECT)
  const tag = reply.headers.get('etag') ?? ''
  const same = await call(OBJECT, { headers: { 'if-none-match': tag } })
  const unknown = await call(OBJECT.replace('ticket', 'invoice'))
  const faulty = await call('/objects/..?locationId=a%20b&colour=1')
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
  t.match(faulty.json, { status: 404 })
  t.match(forbidden.json, { status: 401 })
  simulator.clearReceived()
  await patch(CHANGE)
  t.strictSame(schemaReads(simulator), [], 'what was read for the frontend serves the write')
})

t.test(
  'what HighLevel stores as nothing is told even where the fields are not known, or values go as they came',
  async (t) => {
    const simulator = await startSimulator(t)
    simulator.limitScopes(SEED.locationId, ['objects/record.write', 'objects/record.readonly'])
    const unknown = await startGateway(t, { simulator })
    const neither = await startGateway(t, { simulator, env: { SCHEMA_VALIDATION: 'off', WRITE_DIALECT: 'verbatim' } })

    for (const { patch } of [unknown, neither]) {
      const list = await patch({ properties: { section_of_app: 'contacts', ticket_name: 'x' } })
      const date = await patch({ properties: { recieved_on: '' } })
      for (const [reply, member] of [
        [list, 'section_of_app'],
        [date, 'recieved_on']
      ] as const) {
        const errors = [{ pointer: `/properties/${member}`, code: 'not-stored' }]
        t.match(reply.json, { code: 'upstream-rejected', applied: 'unknown', errors })
      }
    }
  }
)

t.test('an option that HighLevel drops without a word is looked into', async (t) => {
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

t.test('a conditional write that is sent anew is not refused for its own first part', async (t) => {
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

t.test('trouble with objects stops no writes, and objects that cannot be read open no circuit', async (t) => {
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
  t.notOk(gateway.logged().some(({ msg }) => msg === 'calls to HighLevel are held back'))
})

t.test('many who ask for an object at once share one read of it', async (t) => {
  const simulator = await startSimulator(t)
  const { call } = await startGateway(t, { simulator })

  const replies = await Promise.all(Array.from({ length: 20 }, () => call(OBJECT)))

  t.strictSame([...new Set(replies.map(({ status }) => status))], [200])
  t.equal(schemaReads(simulator).length, 1)
})

t.test('a copy of long ago is not used where no newer one comes in time', async (t) => {
  const simulator = await startSimulator(t)
  const clock = createClock(Date.now())
  const { patch } = await startGateway(t, { simulator, now: clock.now })
  await patch(CHANGE)
  clock.move(9 * 3_600_000)
  simulator.putObject(ticketWith(field('engine', 'NUMERICAL')))
  simulator.failNext({ ...readOfObject, kind: 'hang' })

  const reply = await patch({ properties: { engine: 5 } }, { headers: { 'x-request-timeout-ms': '1000' } })

  t.equal(reply.status, 200, 'it is HighLevel that judges')
})

t.test('an object whose fields come in another order is the same', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  await patch(CHANGE)
  simulator.putObject({ ...TICKET, fields: TICKET.fields.toReversed() })
  simulator.failNext({ method: 'PUT', kind: 'status', status: 422, body: { message: 'No' }, times: 5 })
  simulator.clearReceived()

  for (let n = 0; n < 5; n += 1) t.match((await patch(CHANGE)).json, { code: 'upstream-rejected' })

  t.equal(simulator.received({ method: 'PUT' }).length, 5, 'nothing is sent twice for it')
  t.equal(schemaReads(simulator).length, 1)
})

t.test('a box that is lost is pointed to where it stands', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  const properties = { 'my_textbox_list.option_a': null, ticket_name: 'x' }
  simulator.failNext({
    method: 'PUT',
    kind: 'status',
    status: 200,
    body: { record: { id: SEED.recordId, properties } }
  })

  const reply = await patch({ properties: { my_textbox_list: { 'Option A': 'x' }, ticket_name: 'x' } })

  t.match(reply.json, { errors: [{ pointer: '/properties/my_textbox_list/Option A', code: 'not-stored' }] })
})
