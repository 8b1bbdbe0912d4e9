import t from 'tap'
import { SEED } from '../simulator/seed.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { CHANGE } from '../support/calls.ts'
import { RECORD, startGateway, startSimulator } from '../support/harness.ts'

const bodies = (simulator: Simulator) => simulator.received({ method: 'PUT' }).map(({ body }) => JSON.parse(body))
const stored = (simulator: Simulator) => simulator.record(SEED.schemaKey, SEED.recordId)?.properties ?? {}

t.test('all invalid values are reported at once, and nothing is sent', async (t) => {
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
  // The object may have changed, so it is fetched again, once.
  t.strictSame(simulator.received({ method: 'PUT' }), [])
  t.equal(simulator.received().length, 1)
  await patch({ properties: { ticket_name: 5 } })
  t.equal(simulator.received().length, 1, 'it is not fetched again while it is unchanged')
})

t.test('each field of the documentation’s example record can be changed and reads back as written', async (t) => {
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

  t.equal(whole.status, 200, 'a record that was read can be written back as a whole')
  t.match((await read()).properties, { customer_number: 1525, section_of_app: Array, my_files: [png] })
})

t.test('wanted lists become deltas after one read of the record, and deltas need no read', async (t) => {
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

t.test('a list that already is as wanted is left out, and nothing is written if nothing else changes', async (t) => {
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

t.test('owner and followers of a business are rejected, because standard objects have none', async (t) => {
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

t.test('validation and translation can be switched off independently', async (t) => {
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
  const sentVerbatim = bodies(simulator)
  simulator.clearReceived()
  const translated = await unchecked.patch({ properties: { section_of_app: ['contacts'], money: 7 } })
  const [put] = bodies(simulator)
  const invalid = await unchecked.patch({ properties: { ticket_name: 5, no_such_field: 1 } })
  const [invalidPut] = bodies(simulator).slice(-1)
  simulator.clearReceived()
  await neither.patch({ properties: { section_of_app: ['contacts'], ticket_name: 5 } })

  t.match(refused.json, { code: 'invalid-properties' })
  t.match(untranslated.json, { code: 'upstream-rejected' })
  t.strictSame(sentVerbatim, [{ properties: { section_of_app: ['contacts'] } }])
  t.equal(translated.status, 200)
  t.match(put, { properties: { section_of_app: { remove: ['smartlist'] }, money: { value: 7 } } })
  t.match(invalid.json, { code: 'upstream-rejected' })
  t.strictSame(invalidPut, { properties: { ticket_name: 5, no_such_field: 1 } })
  t.strictSame(
    simulator.received().map(({ method, body }) => [method, body]),
    [['PUT', '{"properties":{"section_of_app":["contacts"],"ticket_name":5}}']]
  )
})

t.test('a dry run answers the write and the reads, and writes nothing', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, call, logged } = await startGateway(t, { simulator })
  const before = simulator.record(SEED.schemaKey, SEED.recordId)
  const dry = `${RECORD}&dryRun=true`
  const record = `/objects/${SEED.schemaKey}/records/${SEED.recordId}?locationId=${SEED.locationId}`

  const first = await patch({ properties: { money: 5, section_of_app: [] }, owner: ['new'] }, {}, dry)
  const invalid = await patch({ properties: { money: '5' } }, {}, dry)
  const nothing = await patch({ owner: [SEED.userId] }, {}, dry)
  const stale = await patch({ properties: { money: 5 } }, { headers: { 'if-match': '"outdated"' } }, dry)
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
  t.match(invalid.json, { code: 'invalid-properties' })
  t.strictSame(nothing.json, { request: null, reads: [{ method: 'GET', path: record }] })
  t.match(stale.json, { code: 'precondition-failed' })
  t.match(unconnected.json, { status: 409, code: 'location-not-connected' })
  t.equal(simulator.received({ method: 'PUT' }).length, 1, 'dryRun=false writes')
  t.equal(wet.status, 200)
  t.match((await call(RECORD)).json, { record: { owners: before?.owner } })
  t.notMatch(JSON.stringify(first.json), /Bearer|authorization/i)
  t.ok(logged().some(({ route, status }) => route === '/records/:schemaKey/:id' && status === 200))
})

t.test('a rejection by HighLevel points to the members that its message mentions', async (t) => {
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

t.test('a write whose values HighLevel stores as empty is not reported as a success', async (t) => {
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

t.test(
  'a wanted list is rejected while the record holds a value of a former type, and the error says how to clear it',
  async (t) => {
    const simulator = await startSimulator(t)
    const { patch } = await startGateway(t, { simulator })
    const unchecked = await startGateway(t, { simulator, env: { SCHEMA_VALIDATION: 'off' } })
    const properties = { section_of_app: 'of a former type' }
    simulator.putRecord(SEED.schemaKey, { id: SEED.recordId, locationId: SEED.locationId, properties })

    const refused = await patch({ properties: { section_of_app: ['contacts'] } })
    await unchecked.patch({ properties: { section_of_app: ['contacts'] } })
    t.strictSame(
      bodies(simulator).at(-1),
      { properties: { section_of_app: { add: ['contacts'] } } },
      'HighLevel decides'
    )
    const cleared = await patch({ properties: { section_of_app: null } })
    const written = await patch({ properties: { section_of_app: ['contacts'] } })

    t.match(refused.json, {
      code: 'invalid-properties',
      applied: 'no',
      errors: [{ pointer: '/properties/section_of_app', code: 'conflict', detail: /clear it with null/ }]
    })
    t.strictSame([cleared.status, written.status], [200, 200])
    t.strictSame(stored(simulator)['section_of_app'], ['contacts'])
  }
)

t.test('duplicate users are dropped, and users that are both added and removed are rejected', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })

  const refused = await patch({ followers: { add: ['a', 'b'], remove: ['b'] }, owner: { add: ['c'] } })
  const twice = await patch({ followers: { add: ['a', 'a'] } })

  t.match(refused.json, { code: 'invalid-properties', errors: [{ pointer: '/followers', code: 'conflict' }] })
  t.equal(twice.status, 200)
  t.strictSame(bodies(simulator), [{ followers: { add: ['a'] } }])
})

t.test(
  'values that HighLevel stores as empty are reported even without a schema, and in verbatim writes',
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

t.test('the error for an unstored text box points to its place in the body', async (t) => {
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
