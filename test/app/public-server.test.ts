import t from 'tap'
import { RECORD, startGateway, startSimulator } from '../support/harness.ts'

t.test('CORS allows the configured origins, and exposes the response headers that they need', async (t) => {
  const simulator = await startSimulator(t)
  const { call, patch } = await startGateway(t, {
    simulator,
    env: { CORS_ORIGINS: 'https://app.example.com, https://b.example.com' }
  })
  const headers = {
    origin: 'https://app.example.com',
    'access-control-request-method': 'PATCH',
    'access-control-request-headers': 'authorization,content-type'
  }

  const preflight = await call(RECORD, { method: 'OPTIONS', key: null, headers })
  const reply = await patch({ properties: { customer_number: 1 } }, { headers: { origin: 'https://app.example.com' } })
  const otherOrigin = await call(RECORD, {
    method: 'OPTIONS',
    key: null,
    headers: { ...headers, origin: 'https://evil.example.com' }
  })

  t.equal(preflight.status, 204)
  t.equal(preflight.headers.get('access-control-allow-origin'), 'https://app.example.com')
  t.match(preflight.headers.get('access-control-allow-methods'), /PATCH/)
  t.equal(reply.headers.get('access-control-allow-origin'), 'https://app.example.com')
  t.match(reply.headers.get('access-control-expose-headers'), /etag/)
  t.equal(otherOrigin.headers.get('access-control-allow-origin'), null)
  t.equal((await call('/nowhere')).status, 404)
})

t.test('the OpenAPI document describes the PATCH with its body types and parameters', async (t) => {
  const { call } = await startGateway(t)

  const { json, status } = await call('/openapi.json', { key: null })

  t.equal(status, 200)
  const path = (json['paths'] as Record<string, { patch?: object }>)['/records/{schemaKey}/{id}']
  t.match(path?.patch, {
    operationId: 'updateRecord',
    requestBody: { content: { 'application/json': {}, 'application/merge-patch+json': {} } },
    parameters: Array
  })
  t.equal((await call('/docs', { key: null })).status, 200)
})

t.test('an address that tries too many installs is rate limited', async (t) => {
  const simulator = await startSimulator(t)
  const { install } = await startGateway(t, { simulator, connected: false })

  await Promise.all(Array.from({ length: 30 }, (_, n) => install(`no-such-code-${n}`)))
  const refused = await install('no-such-code')

  t.equal(refused.status, 429)
  t.match(refused.headers.get('retry-after'), /^[1-9]/)
  t.equal(simulator.tokenCalls().length, 30)
})

t.test('successful probes are not logged', async (t) => {
  const { call, logged } = await startGateway(t)

  await call('/livez')
  await call('/readyz')
  await call('/nowhere')

  t.strictSame(
    logged()
      .filter(({ msg }) => msg === 'call')
      .map(({ code }) => code),
    ['route-not-found']
  )
})

t.test('an OPTIONS that is not a preflight is answered with 405, with CORS and without', async (t) => {
  for (const env of [{}, { CORS_ORIGINS: '*' }] as Record<string, string>[]) {
    const { call } = await startGateway(t, { env })
    const bare = await call(RECORD, { method: 'OPTIONS' })
    const origin = await call(RECORD, { method: 'OPTIONS', headers: { origin: 'https://app.example.com' } })
    const nowhere = await call('/nowhere', { method: 'OPTIONS' })

    for (const { status, headers } of [bare, origin]) t.match([status, headers.get('allow')], [405, 'GET, HEAD, PATCH'])
    t.equal(nowhere.status, 404)
  }
})

t.test('a configured origin with a slash or in upper case matches what browsers send', async (t) => {
  const { call } = await startGateway(t, { env: { CORS_ORIGINS: 'HTTPS://App.example.com/' } })
  const headers = { origin: 'https://app.example.com', 'access-control-request-method': 'PATCH' }
  const preflight = await call(RECORD, { method: 'OPTIONS', key: null, headers })
  t.equal(preflight.headers.get('access-control-allow-origin'), 'https://app.example.com')
})

t.test('an unsupported media type or encoding is answered with the supported ones', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  const change = { properties: { customer_number: 1 } }

  const type = await patch('x', { headers: { 'content-type': 'text/plain' } })
  t.match(type.json, { status: 415, code: 'unsupported-media-type' })
  t.equal(type.headers.get('accept-patch'), 'application/json, application/merge-patch+json')

  const compressed = await patch(change, { headers: { 'content-encoding': 'gzip' } })
  t.match(compressed.json, { status: 415, code: 'unsupported-media-type' })
  t.equal(compressed.headers.get('accept-encoding'), 'identity')

  for (const encoding of ['identity', 'IDENTITY', ''])
    t.equal((await patch(change, { headers: { 'content-encoding': encoding } })).status, 200, encoding)
})

t.test('an unsupported precondition is rejected, not ignored', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  const since = { 'if-unmodified-since': 'Sat, 29 Oct 1994 19:43:31 GMT' }
  const reply = await patch({ properties: { customer_number: 1 } }, { headers: since })
  t.match(reply.json, { status: 400, errors: [{ parameter: 'if-unmodified-since', detail: /If-Match/ }] })
  t.equal(simulator.received({ method: 'PUT' }).length, 0)
})
