import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import { SEED } from './simulator/seed.ts'
import { createClock, startGateway, startSimulator } from './support/harness.ts'

const CHANGE = { properties: { customer_number: 5 } }
const ISSUER = 'https://id.example.com/'
const AUDIENCE = 'records-gateway'

/** An identity provider: a key pair, its JWKS on a socket, and tokens signed by it. */
async function startProvider(t: Test) {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const jwk = { ...(await exportJWK(publicKey)), kid: 'a', alg: 'ES256', use: 'sig' }
  let isUp = true
  const server = createServer((_, response) => {
    response.writeHead(isUp ? 200 : 500, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [jwk] }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`

  const sign = (
    claims: JWTPayload,
    { key = privateKey, alg = 'ES256' }: { key?: CryptoKey | Uint8Array; alg?: string } = {}
  ) =>
    new SignJWT({ locations: [SEED.locationId], ...claims })
      .setProtectedHeader({ alg, kid: 'a' })
      .setIssuer(String(claims.iss ?? ISSUER))
      .setAudience(String(claims.aud ?? AUDIENCE))
      .setSubject('user-1')
      .setExpirationTime(claims.exp ?? '5m')
      .sign(key)

  const env = { CALLER_JWKS_URL: jwksUrl, CALLER_JWT_ISSUER: ISSUER, CALLER_JWT_AUDIENCE: AUDIENCE }
  return { env, sign, fail: () => (isUp = false) }
}

t.test('a JWT of the identity provider may touch the locations that its claim names', async (t) => {
  const simulator = await startSimulator(t)
  const { env, sign } = await startProvider(t)
  const { patch, logged } = await startGateway(t, { simulator, env })

  const listed = await patch(CHANGE, { key: await sign({}) })
  const spaced = await patch(CHANGE, { key: await sign({ locations: `other ${SEED.locationId}` }) })
  const every = await patch(CHANGE, { key: await sign({ locations: ['*'] }) })
  const another = await patch(CHANGE, { key: await sign({ locations: ['other'] }) })
  const none = await patch(CHANGE, { key: await sign({ locations: 7 }) })

  t.strictSame([listed.status, spaced.status, every.status, another.status, none.status], [200, 200, 200, 403, 403])
  t.match(
    logged()
      .filter(({ msg }) => msg === 'call')
      .at(-1),
    { caller: 'jwt:user-1', code: 'location-forbidden' }
  )
})

t.test('a JWT that does not hold is refused, whatever is wrong with it', async (t) => {
  const simulator = await startSimulator(t)
  const { env, sign } = await startProvider(t)
  const { patch } = await startGateway(t, { simulator, env })
  const other = await generateKeyPair('ES256')
  const [header = '', payload = '', signature = ''] = (await sign({})).split('.')
  const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`
  const tokens = {
    'of another issuer': await sign({ iss: 'https://evil.example.com/' }),
    'for another audience': await sign({ aud: 'another-service' }),
    expired: await sign({ exp: Math.floor(Date.now() / 1_000) - 10 }),
    'signed by another key': await sign({}, { key: other.privateKey }),
    'signed by a shared secret': await sign({}, { key: Buffer.alloc(32, 1), alg: 'HS256' }),
    unsigned,
    changed: `${header}.${Buffer.from('{"sub":"root","locations":["*"]}').toString('base64url')}.${signature}`,
    garbage: 'a.b.c'
  }

  for (const [name, key] of Object.entries(tokens)) {
    const reply = await patch(CHANGE, { key })
    t.match(reply.json, { status: 401, code: 'unauthenticated' }, name)
    t.match(reply.headers.get('www-authenticate'), /error="invalid_token"/, name)
  }
  t.strictSame(simulator.received(), [])
})

t.test(
  'a JWT that was good stays known while the provider is down, and a new one is not the caller’s fault',
  async (t) => {
    const simulator = await startSimulator(t)
    const clock = createClock(Date.now())
    const warm = await startProvider(t)
    const cold = await startProvider(t)
    const known = await startGateway(t, { simulator, env: warm.env, now: clock.now })
    const unknown = await startGateway(t, { simulator, env: cold.env, now: clock.now })
    const key = await warm.sign({})
    const before = await known.patch(CHANGE, { key })
    warm.fail()
    cold.fail()
    // The caller is looked at again, and the provider's keys are not to be had.
    clock.move(60_000)

    const after = await known.patch(CHANGE, { key })
    const first = await unknown.patch(CHANGE, { key: await cold.sign({}) })

    t.strictSame([before.status, after.status], [200, 200])
    t.match(first.json, { status: 503, code: 'vault-unavailable', retryable: true })
  }
)

t.test('a JWT ends at its expiry though it was verified before', async (t) => {
  const simulator = await startSimulator(t)
  const clock = createClock(Date.now())
  const { env, sign } = await startProvider(t)
  const { patch } = await startGateway(t, { simulator, env, now: clock.now })
  const key = await sign({ exp: Math.floor(clock.now() / 1_000) + 5 })

  const before = await patch(CHANGE, { key })
  clock.move(6_000)
  const after = await patch(CHANGE, { key })

  t.strictSame([before.status, after.status], [200, 401])
})

t.test('a new key counts at once, a revoked one is refused within 15 s', async (t) => {
  const simulator = await startSimulator(t)
  const clock = createClock()
  const { patch, addKey, vault } = await startGateway(t, { simulator, now: clock.now })

  const unknown = await patch(CHANGE, { key: 'to-be-added' })
  await addKey('key_new', 'to-be-added', [SEED.locationId])
  const known = await patch(CHANGE, { key: 'to-be-added' })
  await vault.revokeKey('key_new')
  clock.move(15_000)
  const revoked = await patch(CHANGE, { key: 'to-be-added' })

  t.strictSame([unknown.status, known.status, revoked.status], [401, 200, 401])
})

t.test('a key stays known while the store is down, however long', async (t) => {
  const simulator = await startSimulator(t)
  const clock = createClock()
  const { patch, vault } = await startGateway(t, { simulator, now: clock.now })
  await patch(CHANGE)
  await vault.close()
  clock.move(60_000)

  const reply = await patch(CHANGE)

  t.equal(reply.status, 200)
})

t.test('a foreign location is refused in the same words whether it is connected or not', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, addKey } = await startGateway(t, { simulator })
  await addKey('key_other', 'other', [SEED.secondLocationId])
  const path = (locationId: string) => `/records/${SEED.schemaKey}/${SEED.recordId}?locationId=${locationId}`

  const connected = await patch(CHANGE, { key: 'other' }, path(SEED.locationId))
  const unknown = await patch(CHANGE, { key: 'other' }, path('neverHeardOf'))

  const { requestId: _, ...first } = connected.json
  const { requestId: __, ...second } = unknown.json
  t.equal(connected.status, 403)
  t.strictSame(first, second)
})

t.test('a caller is known before its body is read', async (t) => {
  const { call } = await startGateway(t)

  const reply = await call(`/records/x/y?locationId=z`, {
    method: 'PATCH',
    key: 'nobody',
    body: '{"broken',
    headers: { 'content-type': 'text/plain' }
  })

  t.equal(reply.status, 401)
})

t.test('an address that fails too often is told to wait, and good callers of that address are not', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, addKey } = await startGateway(t, { simulator, env: { TRUST_PROXY: '127.0.0.1' } })
  await addKey('key_late', 'seen-after-the-attack', ['*'])
  const from = (address: string, key: string) => patch(CHANGE, { key, headers: { 'x-forwarded-for': address } })
  await from('203.0.113.1', 'rgk_test-key-of-every-location')

  const failures = []
  for (let n = 0; n < 61; n += 1) failures.push((await from('203.0.113.1', `guess-${n}`)).status)

  t.strictSame(new Set(failures.slice(0, 60)), new Set([401]))
  t.equal(failures[60], 429)
  t.equal((await from('203.0.113.1', 'seen-after-the-attack')).status, 200)
  t.equal((await from('203.0.113.1', 'rgk_test-key-of-every-location')).status, 200)
  t.equal((await from('203.0.113.2', 'guess')).status, 401)
})

t.test('without TRUST_PROXY a forwarded address counts for nothing', async (t) => {
  const { call } = await startGateway(t)
  const fail = (n: number) =>
    call('/records/a/b', { method: 'PATCH', key: null, headers: { 'x-forwarded-for': `203.0.113.${n}` } })

  for (let n = 0; n < 60; n += 1) await fail(n)

  t.equal((await fail(60)).status, 429)
})
