import t from 'tap'
import { catalog, type ProblemCode } from '../../src/problems/catalog.ts'
import { SEED } from '../simulator/seed.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { RECORD, type Reply, sendRaw, startGateway, startSimulator, type TestGateway } from '../support/harness.ts'

const CHANGE = { properties: { customer_number: 5 } }

interface Row {
  name: string
  code: ProblemCode
  applied?: 'unknown'
  /** Members that the answer must have. */
  has?: object
  ask: (gateway: TestGateway, simulator: Simulator) => Promise<Reply> | Reply
}

const patchDuring =
  (fault: Parameters<Simulator['failNext']>[0], body: object = CHANGE) =>
  async (gateway: TestGateway, simulator: Simulator) => {
    // More failures than a call has attempts.
    simulator.failNext({ method: 'PUT', times: 10, ...fault })
    return gateway.patch(body)
  }
const patchAnswered = (status: number, body: unknown, headers?: Record<string, string>) =>
  patchDuring({ kind: 'status', status, body, ...(headers && { headers }) })
const patchAfter = (prepare: (simulator: Simulator) => void) => (gateway: TestGateway, simulator: Simulator) => {
  prepare(simulator)
  return gateway.patch(CHANGE)
}
const patchPath =
  (path: string) =>
  ({ patch }: TestGateway) =>
    patch(CHANGE, {}, path)

/** Uses a raw socket, since fetch sends no Expect header. */
async function patchExpecting(origin: string): Promise<Reply> {
  const answer = await sendRaw(
    origin,
    `PATCH ${RECORD} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: miracles\r\n\r\n`
  )
  const [head = '', text = ''] = answer.split('\r\n\r\n', 2)
  const [start = '', ...fields] = head.split('\r\n')
  const headers = new Headers(fields.map((field) => field.split(': ', 2) as [string, string]))
  return { status: Number(start.split(' ')[1]), headers, text, json: JSON.parse(text) as Reply['json'] }
}

/** Every problem of the README's table that this service can answer with, with at least one way to cause it. */
const rows: Row[] = [
  { name: 'a body that is not JSON', code: 'invalid-json', ask: ({ patch }) => patch('{"properties":') },
  { name: 'an empty body', code: 'invalid-json', ask: ({ patch }) => patch('') },
  {
    name: 'a body that is not UTF-8',
    code: 'invalid-json',
    ask: ({ patch }) => patch(Buffer.from('7b2261223a22ff227d', 'hex'))
  },
  {
    name: 'a member named __proto__',
    code: 'invalid-json',
    ask: ({ patch }) => patch('{"properties":{"__proto__":{"a":1}}}')
  },
  {
    name: 'a request with several errors',
    code: 'invalid-request',
    has: {
      errors: [
        { parameter: 'id', code: 'bad-format' },
        { parameter: 'colour', code: 'unknown-member' },
        { parameter: 'locationId', code: 'bad-format' },
        { parameter: 'dryRun', code: 'bad-format' },
        { parameter: 'x-request-timeout-ms', code: 'bad-format' },
        { pointer: '/colour', code: 'unknown-member' },
        { pointer: '/owner', code: 'too-many' },
        { pointer: '/properties/huge', code: 'out-of-range' }
      ]
    },
    ask: ({ patch }) =>
      patch(
        '{"colour":1,"owner":["a","b"],"properties":{"huge":1e999}}',
        { headers: { 'x-request-timeout-ms': '-1' } },
        `/records/${SEED.schemaKey}/not.an.id?locationId=a/b&colour=1&dryRun=yes`
      )
  },
  { name: 'a path that is not percent-encoding', code: 'invalid-request', ask: patchPath('/records/%zz/1') },
  { name: 'no credential', code: 'unauthenticated', ask: ({ patch }) => patch(CHANGE, { key: null }) },
  {
    name: 'a location of another caller',
    code: 'location-forbidden',
    ask: ({ patch }) => patch(CHANGE, { key: 'of-another-location' })
  },
  { name: 'an unknown route', code: 'route-not-found', ask: ({ call }) => call('/nothing/here') },
  { name: 'an unknown problem', code: 'route-not-found', ask: ({ call }) => call('/problems/no-such-code') },
  { name: 'an unknown object', code: 'object-not-found', ask: patchPath(RECORD.replace('ticket', 'invoice')) },
  {
    name: 'an unknown record',
    code: 'record-not-found',
    ask: patchPath(RECORD.replace(SEED.recordId, 'f'.repeat(24)))
  },
  {
    name: 'an id that HighLevel rejects',
    code: 'record-not-found',
    ask: patchPath(RECORD.replace(SEED.recordId, 'abc'))
  },
  { name: 'another method', code: 'method-not-allowed', ask: ({ call }) => call(RECORD, { method: 'DELETE' }) },
  {
    name: 'a location that is not connected',
    code: 'location-not-connected',
    has: { connectUrl: 'http://localhost:3000/oauth/install' },
    ask: patchPath(RECORD.replace(SEED.locationId, 'someOtherLocation'))
  },
  {
    name: 'a grant that HighLevel has ended',
    code: 'location-reconnect-required',
    has: { connectUrl: 'http://localhost:3000/oauth/install' },
    ask: patchAfter((simulator) => simulator.revokeGrants())
  },
  {
    name: 'an uninstalled app',
    code: 'location-reconnect-required',
    has: { upstream: { status: 403 } },
    ask: patchAfter((simulator) => simulator.uninstall(SEED.locationId))
  },
  {
    name: 'a paused location',
    code: 'location-paused',
    ask: ({ patch }, simulator) => {
      simulator.pause(SEED.locationId, true)
      simulator.expireTokens()
      return patch(CHANGE)
    }
  },
  {
    name: 'a scope that was not granted',
    code: 'location-scope-missing',
    ask: ({ patch }, simulator) => {
      simulator.limitScopes(SEED.locationId, ['objects/record.readonly'])
      return patch(CHANGE)
    }
  },
  {
    name: 'a unique value that another record has',
    code: 'duplicate-value',
    has: { errors: [{ pointer: '/properties/external_id', code: 'duplicate' }] },
    ask: ({ patch }) => patch({ properties: { external_id: 'T-1425' } })
  },
  {
    name: 'a body over the limit',
    code: 'body-too-large',
    ask: ({ patch }) => patch({ properties: { ticket_name: 'x'.repeat(300_000) } })
  },
  { name: 'a URL over the limit', code: 'uri-too-long', ask: patchPath(`/records/${'a'.repeat(5_000)}/1`) },
  { name: 'a URL that the parser refuses', code: 'uri-too-long', ask: patchPath(`/records/${'a'.repeat(20_000)}/1`) },
  {
    name: 'a body in a form',
    code: 'unsupported-media-type',
    ask: ({ patch }) => patch('a=1', { headers: { 'content-type': 'application/x-www-form-urlencoded' } })
  },
  {
    name: 'an unsupported Expect',
    code: 'expectation-failed',
    ask: ({ origin }) => patchExpecting(origin)
  },
  {
    name: 'values that HighLevel rejects',
    code: 'upstream-rejected',
    has: { upstream: { status: 400, message: 'Invalid Key Passed', traceId: String } },
    ask: patchAnswered(400, { message: 'Invalid Key Passed', statusCode: 400, traceId: 'f'.repeat(32) })
  },
  {
    name: 'values that do not fit the object',
    code: 'invalid-properties',
    has: { errors: [{ pointer: '/properties/no_such_field', code: 'unknown-field' }] },
    ask: ({ patch }) => patch({ properties: { no_such_field: 1 } })
  },
  {
    name: 'a record that has changed',
    code: 'precondition-failed',
    ask: ({ patch }) => patch(CHANGE, { headers: { 'if-match': '"2024-01-01T00:00:00.000Z"' } })
  },
  {
    name: 'an unknown status',
    code: 'upstream-rejected',
    applied: 'unknown',
    ask: patchAnswered(418, { message: 'I am a teapot' })
  },
  {
    name: 'a used-up burst quota',
    code: 'location-burst-exhausted',
    has: { upstream: { status: 429, message: 'Too Many Requests' } },
    ask: async ({ patch }, simulator) => {
      await patch(CHANGE)
      simulator.setBurst(0)
      return patch(CHANGE, { headers: { 'x-request-timeout-ms': '500' } })
    }
  },
  {
    name: 'a used-up day quota',
    code: 'location-daily-exhausted',
    has: { upstream: { status: 429, message: 'Too Many Requests' } },
    ask: async (gateway, simulator) => {
      await gateway.patch(CHANGE)
      return patchAfter(() => simulator.setDaily(0))(gateway, simulator)
    }
  },
  {
    name: 'headers over the limit',
    code: 'headers-too-large',
    ask: ({ patch }) => patch(CHANGE, { headers: { cookie: 'x'.repeat(20_000) } })
  },
  {
    name: 'a 500 of HighLevel',
    code: 'upstream-failed',
    applied: 'unknown',
    ask: patchAnswered(500, { message: 'Something went wrong' })
  },
  {
    name: 'an error text of Envoy',
    code: 'upstream-failed',
    applied: 'unknown',
    has: { upstream: { status: 503, message: 'no healthy upstream' } },
    ask: patchAnswered(503, 'no healthy upstream')
  },
  {
    name: 'a connection that breaks before the answer',
    code: 'upstream-failed',
    applied: 'unknown',
    ask: patchDuring({ kind: 'reset-before' })
  },
  {
    name: 'an HTML page from the edge',
    code: 'upstream-unreadable',
    has: { upstream: { status: 403 } },
    ask: patchDuring({ kind: 'html' })
  },
  {
    name: 'truncated JSON',
    code: 'upstream-unreadable',
    applied: 'unknown',
    ask: patchDuring({ kind: 'truncated' })
  },
  {
    name: 'a success without a body',
    code: 'upstream-unreadable',
    applied: 'unknown',
    ask: patchDuring({ kind: 'empty' })
  },
  {
    name: 'an unexpected success status',
    code: 'upstream-unreadable',
    applied: 'unknown',
    has: { upstream: { status: 202 } },
    ask: patchAnswered(202, { record: { id: SEED.recordId, properties: CHANGE.properties } })
  },
  {
    name: 'an answer that is too long',
    code: 'upstream-unreadable',
    applied: 'unknown',
    ask: patchDuring({ kind: 'huge' })
  },
  {
    name: 'an API version that HighLevel has removed',
    code: 'upstream-contract-changed',
    ask: patchAnswered(400, { message: 'API endpoint has been removed', statusCode: 400 })
  },
  {
    name: 'a redirect',
    code: 'upstream-contract-changed',
    applied: 'unknown',
    ask: patchAnswered(302, '', { location: 'https://elsewhere.example.com/' })
  },
  {
    name: 'a 401 with an unknown message',
    code: 'upstream-contract-changed',
    ask: patchAfter((simulator) =>
      simulator.failNext({ kind: 'status', status: 401, body: { message: 'Nope' }, method: 'PUT', times: 2 })
    )
  },
  {
    name: 'a token endpoint that is down while no token is left',
    code: 'upstream-unavailable',
    ask: ({ patch }, simulator) => {
      simulator.expireTokens()
      simulator.failNext({ kind: 'status', status: 503, body: 'no healthy upstream', path: '/oauth/token' })
      return patch(CHANGE)
    }
  },
  {
    name: 'an answer that takes too long',
    code: 'upstream-timeout',
    applied: 'unknown',
    ask: patchDuring({ kind: 'hang' })
  },
  {
    name: 'a deadline that passes while HighLevel works',
    code: 'deadline-exceeded',
    applied: 'unknown',
    ask: ({ patch }, simulator) => {
      simulator.failNext({ kind: 'hang', method: 'PUT' })
      return patch(CHANGE, { headers: { 'x-request-timeout-ms': '60' } })
    }
  },
  {
    name: 'a deadline that passes while a token is renewed',
    code: 'deadline-exceeded',
    ask: ({ patch }, simulator) => {
      simulator.expireTokens()
      simulator.failNext({ kind: 'slow', delayMs: 500, path: '/oauth/token' })
      return patch(CHANGE, { headers: { 'x-request-timeout-ms': '100' } })
    }
  }
]

for (const { name, code, applied = 'no', has, ask } of rows) {
  t.test(`${name} is answered with ${code}`, async (t) => {
    const simulator = await startSimulator(t)
    const gateway = await startGateway(t, { simulator, env: { UPSTREAM_TIMEOUT_MS: '300' } })
    await gateway.addKey('key_other', 'of-another-location', ['anotherLocation'])

    const reply = await ask(gateway, simulator)

    const { status, title, source, retryable } = catalog[code]
    t.equal(reply.status, status)
    t.equal(reply.headers.get('content-type'), 'application/problem+json')
    t.match(reply.json, {
      type: `/problems/${code}`,
      code,
      status,
      title,
      source,
      retryable,
      applied,
      detail: /\w/,
      instance: /^\//,
      requestId: reply.headers.get('x-request-id') ?? 'none',
      ...has
    })
    if (status === 429 || status === 503) t.match(reply.headers.get('retry-after'), /^[1-9]\d*$/)
    if (status === 401) t.match(reply.headers.get('www-authenticate'), /^Bearer realm=/)
    if (status === 405) t.equal(reply.headers.get('allow'), 'GET, HEAD, PATCH')
    t.match(
      gateway
        .logged()
        .filter(({ msg }) => msg === 'call')
        .at(-1),
      { code, status, requestId: String }
    )
  })
}

t.test('a caller’s mistake never reaches HighLevel', async (t) => {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator })
  const callerProblems = rows.filter(
    ({ code }) =>
      catalog[code].source === 'caller' &&
      !['duplicate-value', 'upstream-rejected', 'object-not-found', 'record-not-found'].includes(code) &&
      // These read the object or the record from HighLevel.
      !['invalid-properties', 'precondition-failed'].includes(code)
  )

  for (const { ask } of callerProblems) await ask(gateway, simulator)

  t.ok(callerProblems.length >= 15)
  t.strictSame(simulator.received(), [])
})

t.test('without a database, callers that are not cached get vault-unavailable, and so does /readyz', async (t) => {
  const simulator = await startSimulator(t)
  const { vault, patch, call } = await startGateway(t, { simulator })
  await vault.close()

  const [reply, ready] = [await patch(CHANGE), await call('/readyz')]

  t.match(reply.json, { status: 503, code: 'vault-unavailable', retryable: true })
  t.match(ready.json, { status: 503, code: 'vault-unavailable' })
  t.equal((await call('/livez')).status, 200)
})

t.test('invalid HTTP is answered with a problem, and the connection is closed', async (t) => {
  const { origin } = await startGateway(t)

  const answer = await sendRaw(origin, 'HELLO\r\n\r\n')

  t.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/)
  t.match(answer, /"code":"invalid-request"/)
})

t.test('every code of the catalog has a page with its advice', async (t) => {
  const { call } = await startGateway(t)

  for (const [code, { advice }] of Object.entries(catalog)) {
    const page = await call(`/problems/${code}`)
    t.equal(page.status, 200)
    t.ok(page.text.includes(advice), code)
  }
})

t.test('no path segment that could lead to another HighLevel URL is ever sent', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  const good: Record<'schemaKey' | 'id' | 'locationId', string> = {
    schemaKey: SEED.schemaKey,
    id: SEED.recordId,
    locationId: SEED.locationId
  }
  const segments = [
    '..',
    '%2e%2e',
    'a%2F..%2Fb',
    'a%5Cb',
    '%00',
    'a%00b',
    'a..b',
    'a%3Fb',
    'a%23b',
    'a%20b',
    '%0d%0a',
    'é',
    '.',
    'a'.repeat(129),
    '-'.repeat(65)
  ]

  for (const segment of segments) {
    for (const part of ['schemaKey', 'id', 'locationId'] as const) {
      const { schemaKey, id, locationId }: typeof good = { ...good, [part]: segment }
      const reply = await patch(CHANGE, {}, `/records/${schemaKey}/${id}?locationId=${locationId}`)
      t.ok(reply.status === 400 || reply.status === 404, `${part}=${segment.slice(0, 20)}: ${reply.status}`)
    }
  }
  t.strictSame(simulator.received(), [])
})

t.test('a compressed body is rejected', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })

  const compressed = await patch(CHANGE, { headers: { 'content-encoding': 'gzip' } })

  t.equal(compressed.json['code'], 'unsupported-media-type')
  t.strictSame(simulator.received(), [])
})

t.test('no number of unknown members or parameters lets a request pass', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  const junk = Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`junk${n}`, n]))
  const query = Object.keys(junk)
    .map((name) => `${name}=1`)
    .join('&')

  const replies = [
    await patch({ ...junk, ...CHANGE }),
    await patch({ ...junk, owner: ['a/../b c'] }),
    await patch({ ...CHANGE, owner: { ...junk, add: 5 } }),
    await patch(CHANGE, {}, `${RECORD}&${query}`),
    await patch(CHANGE, {}, `${RECORD.replace(SEED.locationId, 'a%2F..%2Fb')}&${query}`)
  ]

  for (const { json } of replies) t.match(json, { status: 400, code: 'invalid-request', errors: [{ code: String }] })
  t.strictSame(simulator.received(), [])
})

t.test('the answer to an invalid request stays small, however long the names in it are', async (t) => {
  const { patch } = await startGateway(t)
  const name = '~'.repeat(100_000)

  const replies = [
    await patch(`{"properties":{"a":{"${name}":[${Array(110).fill('1e999').join(',')}]}}}`),
    await patch({ [name]: 1, ...CHANGE }),
    await patch(CHANGE, {}, `${RECORD}&${'x'.repeat(3_000)}=1`)
  ]

  for (const { status, text } of replies) {
    t.equal(status, 400)
    t.ok(text.length < 64_000, `${text.length} characters`)
  }
})

t.test('HighLevel’s Retry-After counts only as decimal digits, from 1 second to a day', async (t) => {
  const given = {
    '7': '7',
    '0': '1',
    '-5': '10',
    '1e300': '10',
    Infinity: '10',
    '99999999': '86400',
    soon: '10',
    '': '10',
    '2.2': '10',
    '0x10': '10'
  }

  for (const [value, expected] of Object.entries(given)) {
    const simulator = await startSimulator(t)
    const { patch } = await startGateway(t, { simulator })
    simulator.failNext({
      kind: 'status',
      status: 429,
      body: { message: 'Too Many Requests' },
      headers: { 'retry-after': value },
      method: 'PUT'
    })
    // Shorter than the wait, so that the call does not wait for it.
    const reply = await patch(CHANGE, { headers: { 'x-request-timeout-ms': '500' } })
    t.equal(reply.headers.get('retry-after'), expected, value)
  }
})
