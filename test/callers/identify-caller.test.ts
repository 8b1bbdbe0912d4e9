import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import { SEED } from '../simulator/seed.ts'
import { createClock } from '../support/clock.ts'
import { startGateway, startSimulator } from '../support/harness.ts'

const CHANGE = { properties: { customer_number: 5 } }
const ISSUER = 'https://id.example.com/'
const AUDIENCE = 'records-gateway'

/** An identity provider: a key pair, its JWKS on a socket, and tokens signed by it. */
async function startProvider(t: Test) {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const jwk = { ...(await exportJWK(publicKey)), kid: 'a', alg: 'ES256', use: 'sig' }
  let isUp = true
  let reads = 0
  const keys: unknown[] = [jwk]
  const server = createServer((_, response) => {
    reads += 1
    response.writeHead(isUp ? 200 : 500, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`

  const sign = (
    claims: JWTPayload,
    {
      key = privateKey,
      alg = 'ES256',
      kid = 'a'
    }: { key?: CryptoKey | Uint8Array; alg?: string; kid?: string | null } = {}
  ) =>
    new SignJWT({ locations: [SEED.locationId], ...claims })
      .setProtectedHeader({ alg, ...(kid !== null && { kid }) })
      .setIssuer(String(claims.iss ?? ISSUER))
      .setAudience(String(claims.aud ?? AUDIENCE))
      .setSubject('user-1')
      .setExpirationTime(claims.exp ?? '5m')
      .sign(key)

  const env = { CALLER_JWKS_URL: jwksUrl, CALLER_JWT_ISSUER: ISSUER, CALLER_JWT_AUDIENCE: AUDIENCE }
  const [fail, recover] = [() => (isUp = false), () => (isUp = true)]
  return { env, sign, fail, recover, keys, reads: () => reads }
}

t.test('a JWT has access to the locations in its claim', async (t) => {
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

t.test('an invalid JWT is rejected; the reason is logged but not told to the caller', async (t) => {
  const simulator = await startSimulator(t)
  const { env, sign } = await startProvider(t)
  const { patch, logged } = await startGateway(t, { simulator, env })
  const other = await generateKeyPair('ES256')
  const [header = '', payload = '', signature = ''] = (await sign({})).split('.')
  const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`
  const past = Math.floor(Date.now() / 1_000) - 10
  const tokens: [reason: string, token: string][] = [
    ['issuer', await sign({ iss: 'https://evil.example.com/' })],
    ['audience', await sign({ aud: 'another-service' })],
    ['expired', await sign({ exp: past })],
    ['not valid yet', await sign({ nbf: past + 100 })],
    ['signature', await sign({}, { key: other.privateKey })],
    ['algorithm', await sign({}, { key: Buffer.alloc(32, 1), alg: 'HS256' })],
    ['kid: no matching key in the set', await sign({}, { kid: 'b' })],
    ['algorithm', unsigned],
    ['signature', `${header}.${Buffer.from('{"sub":"root","locations":["*"]}').toString('base64url')}.${signature}`],
    ['malformed', 'a.b.c']
  ]

  const bodies = new Set<string>()
  for (const [reason, key] of tokens) {
    const reply = await patch(CHANGE, { key })
    t.match(reply.json, { status: 401, code: 'unauthenticated' }, reason)
    t.match(reply.headers.get('www-authenticate'), /error="invalid_token"/, reason)
    t.match(
      logged()
        .filter(({ msg }) => msg === 'call')
        .at(-1),
      { status: 401, reason }
    )
    const { requestId: _, ...rest } = reply.json
    bodies.add(JSON.stringify(rest))
  }
  t.equal(bodies.size, 1, 'the answer does not say why')
  t.strictSame(simulator.received(), [])
})

t.test('a JWT verified before is accepted while the provider is down; a new one gets 503, not 401', async (t) => {
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
  // The cached caller is verified again, and the provider's keys cannot be loaded.
  clock.move(60_000)

  const after = await known.patch(CHANGE, { key })
  const first = await unknown.patch(CHANGE, { key: await cold.sign({}) })

  t.strictSame([before.status, after.status], [200, 200])
  t.match(first.json, { status: 503, code: 'identity-provider-unavailable', retryable: true })
})

t.test('a new key in the set is found at once, and unknown key ids do not flood the provider', async (t) => {
  const simulator = await startSimulator(t)
  const { env, sign, keys, reads } = await startProvider(t)
  const { patch } = await startGateway(t, { simulator, env })
  await patch(CHANGE, { key: await sign({}) })
  const fresh = await generateKeyPair('ES256')
  keys.push({ ...(await exportJWK(fresh.publicKey)), kid: 'new', alg: 'ES256' })

  t.equal((await patch(CHANGE, { key: await sign({}, { key: fresh.privateKey, kid: 'new' }) })).status, 200)
  for (let n = 0; n < 20; n += 1)
    t.equal((await patch(CHANGE, { key: await sign({}, { kid: `random-${n}` }) })).status, 401)
  t.ok(reads() <= 6, `${reads()} reads`)
})

t.test('a replaced key is found, with and without key ids', async (t) => {
  for (const kid of ['a', null]) {
    const simulator = await startSimulator(t)
    const { env, sign, keys } = await startProvider(t)
    const { patch } = await startGateway(t, { simulator, env })
    await patch(CHANGE, { key: await sign({}, { kid }) })
    const fresh = await generateKeyPair('ES256')
    keys[0] = { ...(await exportJWK(fresh.publicKey)), alg: 'ES256', ...(kid !== null && { kid }) }

    const reply = await patch(CHANGE, { key: await sign({}, { key: fresh.privateKey, kid }) })

    t.equal(reply.status, 200, String(kid))
  }
})

t.test('forged tokens delay the discovery of a new key by a few seconds at most', async (t) => {
  const simulator = await startSimulator(t)
  const clock = createClock(Date.now())
  const { env, sign, keys, reads } = await startProvider(t)
  const { patch } = await startGateway(t, { simulator, env, now: clock.now })
  const sendForged = async () => {
    for (let n = 0; n < 10; n += 1) await patch(CHANGE, { key: await sign({}, { kid: `random-${clock.now()}-${n}` }) })
  }
  await sendForged()
  const fresh = await generateKeyPair('ES256')
  keys.push({ ...(await exportJWK(fresh.publicKey)), kid: 'new', alg: 'ES256' })

  clock.move(6_000)
  const reply = await patch(CHANGE, { key: await sign({}, { key: fresh.privateKey, kid: 'new' }) })
  t.equal(reply.status, 200)

  const before = reads()
  for (let second = 0; second < 60; second += 1) {
    clock.move(1_000)
    await patch(CHANGE, { key: await sign({}, { kid: `random-${second}` }) })
  }
  t.ok(reads() - before <= 11, `${reads() - before} reads in a minute`)
})

t.test('a failing provider is asked once a second, not by every call', async (t) => {
  const simulator = await startSimulator(t)
  const clock = createClock(Date.now())
  const { env, sign, reads, fail, recover } = await startProvider(t)
  const { patch } = await startGateway(t, { simulator, env, now: clock.now })
  fail()

  for (let n = 0; n < 10; n += 1) {
    const { json } = await patch(CHANGE, { key: await sign({ n }) })
    t.match(json, { status: 503, code: 'identity-provider-unavailable' })
  }
  t.equal(reads(), 1)
  recover()
  clock.move(1_000)
  t.equal((await patch(CHANGE, { key: await sign({}) })).status, 200)
})

t.test('EdDSA and Ed25519 name the same algorithm, in tokens and in keys', async (t) => {
  const simulator = await startSimulator(t)
  const { env, sign, keys } = await startProvider(t)
  const { privateKey, publicKey } = await generateKeyPair('Ed25519')
  for (const [kid, alg] of [
    ['none', undefined],
    ['old', 'EdDSA'],
    ['new', 'Ed25519']
  ])
    keys.push({ ...(await exportJWK(publicKey)), kid, ...(alg && { alg }) })
  const { patch } = await startGateway(t, { simulator, env })

  for (const kid of ['none', 'old', 'new'])
    for (const alg of ['EdDSA', 'Ed25519'])
      t.equal(
        (await patch(CHANGE, { key: await sign({}, { key: privateKey, alg, kid }) })).status,
        200,
        `${kid} ${alg}`
      )
})

t.test('an unusable key locks out only the tokens signed with it', async (t) => {
  const simulator = await startSimulator(t)
  const { env, sign, keys } = await startProvider(t)
  const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 })
  const leaked = await generateKeyPair('ES256', { extractable: true })
  keys.unshift(
    { ...weak.publicKey.export({ format: 'jwk' }), kid: 'weak', alg: 'RS256' },
    { ...(await exportJWK(leaked.privateKey)), kid: 'private', alg: 'ES256' },
    { kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA', kid: 'broken', alg: 'ES256' },
    'no key at all',
    null
  )
  const { patch, logged } = await startGateway(t, { simulator, env })

  t.equal((await patch(CHANGE, { key: await sign({}) })).status, 200)
  t.equal((await patch(CHANGE, { key: await sign({}, { kid: null }) })).status, 200, 'without a key id')
  t.equal((await patch(CHANGE, { key: await sign({}, { key: leaked.privateKey, kid: 'private' }) })).status, 401)
  const [warning] = logged().filter(({ msg }) => msg === 'unusable keys of the identity provider are ignored')
  t.equal(warning?.['keys'], '1 is weak, 2 is not public, 3 cannot be read, 4 is not a key, 5 is not a key')
})

t.test('without a key id, each key of the type is tried', async (t) => {
  const simulator = await startSimulator(t)
  const { env, sign, keys } = await startProvider(t)
  const other = await generateKeyPair('ES256')
  keys.push({ ...(await exportJWK(other.publicKey)), kid: 'b', alg: 'ES256' })
  const { patch } = await startGateway(t, { simulator, env })

  t.equal((await patch(CHANGE, { key: await sign({}, { kid: null }) })).status, 200)
  t.equal((await patch(CHANGE, { key: await sign({}, { key: other.privateKey, kid: null }) })).status, 200)
  const third = await generateKeyPair('ES256')
  t.equal((await patch(CHANGE, { key: await sign({}, { key: third.privateKey, kid: null }) })).status, 401)
})

t.test('a JWT is rejected after its expiry even if it was verified before', async (t) => {
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

t.test('a new API key is accepted at once, and a revoked one is rejected within 15 s', async (t) => {
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

t.test('a cached API key is accepted while the database is down, however long', async (t) => {
  const simulator = await startSimulator(t)
  const clock = createClock()
  const { patch, vault } = await startGateway(t, { simulator, now: clock.now })
  await patch(CHANGE)
  await vault.close()
  clock.move(60_000)

  const reply = await patch(CHANGE)

  t.equal(reply.status, 200)
})

t.test('a forbidden location gets the same answer whether or not it is connected', async (t) => {
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

t.test('a caller is authenticated before its body is read', async (t) => {
  const { call } = await startGateway(t)

  const reply = await call(`/records/x/y?locationId=z`, {
    method: 'PATCH',
    key: 'nobody',
    body: '{"broken',
    headers: { 'content-type': 'text/plain' }
  })

  t.equal(reply.status, 401)
})

t.test('an address with too many failures gets 429, but valid callers at that address do not', async (t) => {
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

t.test('without TRUST_PROXY a forwarded address is ignored', async (t) => {
  const { call } = await startGateway(t)
  const fail = (n: number) =>
    call('/records/a/b', { method: 'PATCH', key: null, headers: { 'x-forwarded-for': `203.0.113.${n}` } })

  for (let n = 0; n < 60; n += 1) await fail(n)

  t.equal((await fail(60)).status, 429)
})
