import t from 'tap'
import { SEED } from '../simulator/seed.ts'
import { RECORD, startGateway, startSimulator } from '../support/harness.ts'

/** The example of HighLevel's documentation, in the form that its PUT accepts. */
const EXAMPLE = {
  customer_number: 1525,
  ticket_name: 'Customer able to log in',
  phone_number: '+917000000001',
  money: { currency: 'default', value: 120 },
  type_of_ticket: 'bug',
  section_of_app: { add: ['workflows'], remove: ['contacts'] },
  recieved_on: '2024-07-12',
  my_files: { add: [{ url: 'https://files.example.com/second.png' }] },
  'my_textbox_list.option_a': 'Value 3'
}

t.test('the documentation’s example record is updated, and HighLevel’s answer is passed on unchanged', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })

  const reply = await patch({ properties: EXAMPLE })

  t.equal(reply.status, 200)
  const stored = simulator.record(SEED.schemaKey, SEED.recordId)
  t.match(stored?.properties, {
    ...EXAMPLE,
    section_of_app: ['smartlist', 'workflows'],
    my_files: [{ url: 'https://files.example.com/screenshot.png' }, { url: 'https://files.example.com/second.png' }],
    'my_textbox_list.option_b': 'Value 2'
  })
  t.match(reply.json, { record: { id: SEED.recordId, properties: { customer_number: 1525 } }, traceId: String })
  t.equal(reply.headers.get('etag'), `"${stored?.dateUpdated}"`)
  t.match(reply.headers.get('content-type'), /^application\/json/)
})

t.test('HighLevel receives the documented PUT and none of the caller’s headers', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  const headers = {
    cookie: 'session=1',
    'x-forwarded-for': '10.0.0.1',
    'x-request-id': 'caller-request-1',
    traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
  }

  await patch({ properties: { customer_number: 7 }, followers: { add: ['user1'] } }, { headers })

  const [object, put, ...others] = simulator.received()
  t.match(object, { method: 'GET', path: `/objects/${SEED.schemaKey}` }, 'fetched once for many writes')
  t.strictSame(others, [])
  t.match(put, { method: 'PUT', path: `/objects/${SEED.schemaKey}/records/${SEED.recordId}` })
  t.strictSame(put?.query, { locationId: SEED.locationId })
  t.strictSame(JSON.parse(put?.body ?? ''), { properties: { customer_number: 7 }, followers: { add: ['user1'] } })
  t.strictSame(Object.keys(put?.headers ?? {}).sort(), [
    'accept',
    'authorization',
    'connection',
    'content-length',
    'content-type',
    'host',
    'user-agent',
    'version'
  ])
  t.match(put?.headers, {
    version: '2021-07-28',
    'content-type': 'application/json',
    'user-agent': /^records-gateway\/\d+\.\d+\.\d+$/,
    authorization: /^Bearer /
  })
})

t.test('null clears a field, and fields that are not named keep their values', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })

  const reply = await patch(
    { properties: { ticket_name: null } },
    { headers: { 'content-type': 'application/merge-patch+json' } }
  )

  t.equal(reply.status, 200)
  t.match(simulator.record(SEED.schemaKey, SEED.recordId)?.properties, { ticket_name: null, customer_number: 1424 })
})

t.test('wanted owners and followers become deltas', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })

  const reply = await patch({ owner: ['newOwner'], followers: [SEED.userId, 'user2'] })

  t.equal(reply.status, 200)
  const [get, put] = simulator.received()
  t.equal(get?.method, 'GET')
  t.strictSame(JSON.parse(put?.body ?? ''), {
    owners: { add: ['newOwner'], remove: [SEED.userId] },
    followers: { add: ['user2'], remove: ['v5cEPM428h8vShlRW1KT'] }
  })
  t.match(simulator.record(SEED.schemaKey, SEED.recordId), { owner: ['newOwner'], followers: [SEED.userId, 'user2'] })
})

t.test('a record that already has the wanted owner is answered without a write', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })

  const reply = await patch({ owner: [SEED.userId] })

  t.equal(reply.status, 200)
  t.match(reply.json, { record: { id: SEED.recordId } })
  t.strictSame(
    simulator.received().map(({ method }) => method),
    ['GET']
  )
})

t.test('the verbatim dialect sends every value unchanged', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator, env: { WRITE_DIALECT: 'verbatim' } })

  const reply = await patch({ owner: ['newOwner'], properties: { customer_number: 1 } })

  t.match(reply.json, { status: 422, code: 'upstream-rejected', upstream: { status: 422 } })
  t.strictSame(JSON.parse(simulator.received({ method: 'PUT' })[0]?.body ?? ''), {
    properties: { customer_number: 1 },
    owners: ['newOwner']
  })
})

t.test('an object can be named by its id instead of its key', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  const id = simulator.object(SEED.schemaKey)?.id

  const reply = await patch({ properties: { customer_number: 9 } }, {}, RECORD.replace(SEED.schemaKey, id ?? ''))

  t.equal(reply.status, 200)
})

t.test('locationId is optional with an API key for one location, and required with one for several', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, addKey } = await startGateway(t, { simulator })
  await addKey('key_one', 'one-location', [SEED.locationId])
  await addKey('key_two', 'two-locations', [SEED.locationId, SEED.secondLocationId])
  const [path = ''] = RECORD.split('?')

  const one = await patch({ properties: { customer_number: 2 } }, { key: 'one-location' }, path)
  const two = await patch({ properties: { customer_number: 3 } }, { key: 'two-locations' }, path)

  t.equal(one.status, 200)
  t.match(two.json, { code: 'invalid-request', errors: [{ parameter: 'locationId', code: 'required' }] })
})

t.test('request id and trace context are returned: the caller’s if they are valid, else new ones', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  const traceparent = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`

  const given = await patch(
    { properties: { customer_number: 4 } },
    { headers: { 'x-request-id': 'order-4711-a', traceparent } }
  )
  const generated = await patch(
    { properties: { customer_number: 5 } },
    { headers: { 'x-request-id': 'with blanks', traceparent: '00-0-0-00' } }
  )

  t.equal(given.headers.get('x-request-id'), 'order-4711-a')
  t.equal(given.headers.get('traceparent'), traceparent)
  t.match(generated.headers.get('x-request-id'), /^[0-9a-f-]{36}$/)
  t.match(generated.headers.get('traceparent'), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
})

t.test('the caller’s rate limit is answered in the header fields of the IETF draft', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator, env: { CALLER_RATE_MAX: '2', CALLER_RATE_WINDOW_MS: '60000' } })

  const replies = [
    await patch({ properties: { customer_number: 1 } }),
    await patch({ properties: { customer_number: 2 } }),
    await patch({ properties: { customer_number: 3 } })
  ]

  const quotas = '"location-burst";q=100;w=10, "location-day";q=200000;w=86400'
  t.equal(replies[0]?.headers.get('ratelimit-policy'), `"caller";q=2;w=60, ${quotas}`)
  t.match(replies[0]?.headers.get('ratelimit'), /^"caller";r=1;t=\d+$/)
  t.match(replies[2]?.json, { status: 429, code: 'caller-rate-limited', retryable: true })
  t.match(replies[2]?.headers.get('retry-after'), /^[1-9]\d*$/)
  t.equal(simulator.received({ method: 'PUT' }).length, 2)
})

t.test('an empty delta of owners and followers is answered with the record, without a write', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })

  const reply = await patch({ owner: { add: [] }, followers: { remove: [] } })

  t.match(reply.json, { record: { id: SEED.recordId } })
  t.strictSame(
    simulator.received().map(({ method }) => method),
    ['GET']
  )
})
