import Database from 'better-sqlite3'
import t from 'tap'
import { SEED } from '../simulator/seed.ts'
import { createClock } from '../support/clock.ts'
import { onEachDatabase } from '../support/databases.ts'
import { startGateway, startSimulator, until } from '../support/harness.ts'
import { install } from './issued-grants.ts'

const CHANGE = { properties: { customer_number: 5 } }
const HOUR = 3_600_000
const LOCATION = `location:${SEED.locationId}` as const
const refreshes = (simulator: { tokenCalls(): { grantType: string }[] }) =>
  simulator.tokenCalls().filter(({ grantType }) => grantType === 'refresh_token')

onEachDatabase(
  t,
  'fifty calls that meet an expired token renew it once, and all of them succeed',
  async (t, { url }) => {
    for (const how of ['refused', 'expired'] as const) {
      const clock = createClock()
      const simulator = await startSimulator(t, { now: clock.now })
      const { patch } = await startGateway(t, { simulator, now: clock.now, env: { DATABASE_URL: url } })
      if (how === 'refused') simulator.expireTokens()
      else clock.move(25 * HOUR)

      const replies = await Promise.all(Array.from({ length: 50 }, () => patch(CHANGE)))

      t.strictSame(new Set(replies.map(({ status }) => status)), new Set([200]), how)
      t.equal(refreshes(simulator).length, 1, how)
    }
  }
)

t.test('a token that HighLevel refuses again and again is renewed each time', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })

  for (let n = 1; n <= 3; n += 1) {
    simulator.expireTokens()
    t.equal((await patch(CHANGE)).status, 200)
    t.equal(refreshes(simulator).length, n)
  }
})

t.test('a token is renewed in the background before it expires, and no call waits for it', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { patch, vault } = await startGateway(t, { simulator, now: clock.now })
  clock.move(21 * HOUR)
  // A call that waited for the renewal would be answered after it.
  simulator.failNext({ kind: 'slow', delayMs: 1_500, path: '/oauth/token' })

  await until(() => simulator.received({ path: '/oauth/token' }).length === 1)
  const replies = [await patch(CHANGE), await patch(CHANGE)]
  const meanwhile = await vault.loadGrant(LOCATION)
  await until(async () => (await vault.loadGrant(LOCATION))?.generation === 2)

  t.strictSame(
    replies.map(({ status }) => status),
    [200, 200]
  )
  t.match(meanwhile, { generation: 1, leaseOwner: String, intentAt: clock.now() })
  t.equal(refreshes(simulator).length, 1)
})

t.test('calls after a background renewal use its token', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { patch, vault } = await startGateway(t, { simulator, now: clock.now })
  clock.move(21 * HOUR)

  await until(async () => (await vault.loadGrant(LOCATION))?.generation === 2)
  clock.move(10 * HOUR)

  t.equal((await patch(CHANGE)).status, 200)
  t.equal(refreshes(simulator).length, 1)
})

t.test('a token that has expired by the gateway’s clock is renewed before it is sent', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { patch } = await startGateway(t, { simulator, now: clock.now })
  clock.move(25 * HOUR)

  const reply = await patch(CHANGE)

  t.equal(reply.status, 200)
  t.equal(simulator.received({ method: 'PUT' }).length, 1)
})

t.test('a valid token is used while the token endpoint is down', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { patch } = await startGateway(t, { simulator, now: clock.now })
  simulator.failNext({ kind: 'status', status: 503, path: '/oauth/token', times: 100 })
  clock.move(22 * HOUR)

  const replies = [await patch(CHANGE), await patch(CHANGE)]

  t.strictSame(
    replies.map(({ status }) => status),
    [200, 200]
  )
})

t.test('a lasting 401 of any kind costs at most one renewal and two writes, and is not the caller’s 401', async (t) => {
  const kinds = {
    'Invalid JWT': { code: 'location-reconnect-required', renewals: 1, puts: 2 },
    'The token is not authorized for this scope.': { code: 'location-scope-missing', renewals: 0, puts: 1 },
    'This authClass type is not allowed to access this scope.': {
      code: 'location-reconnect-required',
      renewals: 0,
      puts: 1
    },
    'version header was not found.': { code: 'upstream-contract-changed', renewals: 0, puts: 1 }
  }
  for (const [message, { code, renewals, puts }] of Object.entries(kinds)) {
    const simulator = await startSimulator(t)
    const { patch } = await startGateway(t, { simulator })
    simulator.failNext({ kind: 'status', status: 401, body: { statusCode: 401, message }, method: 'PUT', times: 100 })

    const first = await patch(CHANGE)
    const sent = simulator.received({ method: 'PUT' }).length
    const later = [await patch(CHANGE), await patch(CHANGE)]

    t.equal(first.json['code'], code, message)
    t.not(first.status, 401)
    t.equal(sent, puts, message)
    t.equal(refreshes(simulator).length, renewals, message)
    t.strictSame(
      later.map(({ json }) => json['code']),
      [code, code]
    )
    t.equal(simulator.received({ method: 'PUT' }).length, puts + 2, message)
  }
})

t.test('a grant that has ended is refreshed once: later calls are refused without asking HighLevel', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, vault, lines } = await startGateway(t, { simulator })
  simulator.revokeGrants()

  const replies = [await patch(CHANGE), await patch(CHANGE), await patch(CHANGE)]

  t.strictSame(new Set(replies.map(({ json }) => json['code'])), new Set(['location-reconnect-required']))
  t.equal(refreshes(simulator).length, 1)
  t.match(await vault.loadGrant(LOCATION), { state: 'reconnect-required' })
  t.equal(lines.filter((line) => line.includes('must be connected again')).length, 1)
})

t.test('a paused location works again by itself when the pause ends', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { patch } = await startGateway(t, { simulator, now: clock.now })
  simulator.pause(SEED.locationId, true)
  clock.move(25 * HOUR)
  const paused = [await patch(CHANGE), await patch(CHANGE)]

  simulator.pause(SEED.locationId, false)
  clock.move(6_000)

  t.strictSame(
    paused.map(({ json }) => json['code']),
    ['location-paused', 'location-paused']
  )
  t.equal(refreshes(simulator).length, 1)
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('a private integration token serves a location and is never renewed', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, vault } = await startGateway(t, { simulator, connected: false })
  const accessToken = simulator.privateToken()
  const subject = LOCATION
  const grantFields = { subject, kind: 'private', companyId: null, scopes: '', verified: true, stateSince: 0 } as const
  await vault.installGrant(
    { ...grantFields, tokens: { accessToken, expiresAt: null, issuedAt: 0 }, dueAt: null },
    install(0)
  )

  const good = await patch(CHANGE)
  simulator.revokeGrants()
  const dead = await patch(CHANGE)

  t.equal(good.status, 200)
  t.match(dead.json, { status: 409, code: 'location-reconnect-required' })
  t.strictSame(simulator.tokenCalls(), [])
})

t.test('a location that was removed is refused within 15 s', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { patch, vault } = await startGateway(t, { simulator, now: clock.now })
  await patch(CHANGE)

  await vault.markUninstalled(LOCATION, 'removed', clock.now())
  clock.move(15_000)

  t.equal((await patch(CHANGE)).json['code'], 'location-not-connected')
})

t.test('calls go on with cached tokens while the vault is down', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { patch, vault } = await startGateway(t, { simulator, now: clock.now })
  await patch(CHANGE)
  await vault.close()
  clock.move(HOUR)

  t.equal((await patch(CHANGE)).status, 200)
})

t.test('a location whose token expires during its pause works again when the pause ends', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { patch } = await startGateway(t, { simulator, now: clock.now })
  simulator.pause(SEED.locationId, true)
  simulator.expireTokens()
  const paused = [await patch(CHANGE), await patch(CHANGE)]
  clock.move(6_000)
  paused.push(await patch(CHANGE))

  simulator.pause(SEED.locationId, false)
  clock.move(6_000)

  t.strictSame(
    paused.map(({ json }) => json['code']),
    Array(3).fill('location-paused')
  )
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('an invalid member next to new tokens does not lose the tokens', async (t) => {
  const invalidMembers = [
    { companyId: null },
    { approvedLocations: null },
    { locationId: '' },
    { expires_in: '86399' },
    { expires_in: null },
    { expires_in: 86_399.555 },
    { expires_in: 1e300 },
    { scope: 7 },
    { refresh_token: null }
  ]
  for (const member of invalidMembers) {
    const simulator = await startSimulator(t)
    const { patch, vault } = await startGateway(t, { simulator })
    const before = await vault.loadGrant(LOCATION)
    simulator.expireTokens()
    const { accessToken, refreshToken } = simulator.grantTokens()
    const body = {
      access_token: accessToken,
      refresh_token: refreshToken,
      expires_in: 86_399,
      userType: 'Location',
      ...member
    }
    simulator.failNext({ kind: 'status', status: 200, body, path: '/oauth/token' })

    const reply = await patch(CHANGE)

    t.equal(reply.status, 200, JSON.stringify(member))
    const kept = 'refresh_token' in member ? before?.tokens?.refreshToken : refreshToken
    const after = await vault.loadGrant(LOCATION)
    t.match(after, { tokens: { accessToken, refreshToken: kept } })
    t.ok(Number.isSafeInteger(after?.tokens?.expiresAt))
  }
})

t.test('a call that times out before its new token is tried does not make the token count as refused', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, vault } = await startGateway(t, { simulator })
  simulator.expireTokens()
  simulator.failNext({ kind: 'slow', delayMs: 400, path: '/oauth/token' })
  const late = await patch(CHANGE, { headers: { 'x-request-timeout-ms': '250' } })
  await until(async () => (await vault.loadGrant(LOCATION))?.generation === 2)
  const good = await patch(CHANGE)

  simulator.expireTokens()

  t.strictSame([late.status, good.status], [504, 200])
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('a vault that fails when a token must be renewed is vault-unavailable', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { patch, vault } = await startGateway(t, { simulator, now: clock.now })
  await patch(CHANGE)
  await vault.close()
  clock.move(25 * HOUR)

  const reply = await patch(CHANGE)

  t.match(reply.json, { status: 503, code: 'vault-unavailable', retryable: true })
  t.strictSame(refreshes(simulator), [])
})

t.test('a grant that has ended is not refreshed by calls while its access token still works', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { patch, lines, vault } = await startGateway(t, { simulator, now: clock.now })
  simulator.failNext({
    kind: 'status',
    status: 400,
    body: { error: 'invalid_grant' },
    path: '/oauth/token',
    times: 100
  })
  clock.move(21 * HOUR)
  await until(async () => (await vault.loadGrant(LOCATION))?.state === 'reconnect-required')

  const replies = []
  for (let n = 0; n < 5; n += 1) replies.push((await patch(CHANGE)).status)

  t.strictSame(replies, Array(5).fill(200))
  t.equal(refreshes(simulator).length, 1)
  t.equal(lines.filter((line) => line.includes('must be connected again')).length, 1)
})

t.test('a refresh whose answer is lost is repeated at once, and keeps the grant', async (t) => {
  for (const kind of ['reset-after', 'truncated', 'empty'] as const) {
    const simulator = await startSimulator(t)
    const { patch } = await startGateway(t, { simulator })
    simulator.expireTokens()
    simulator.failNext({ kind, path: '/oauth/token' })

    const reply = await patch(CHANGE)

    t.equal(reply.status, 200, kind)
    t.equal(refreshes(simulator).length, 2, kind)
  }
})

t.test('a write lock of another process delays a renewal and nothing else', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, call, config } = await startGateway(t, { simulator })
  const other = new Database(config.vault.url.slice('sqlite:'.length))
  other.exec('begin immediate')
  simulator.expireTokens()

  const reply = patch(CHANGE)
  await until(() => simulator.received().length === 1)
  const alive = []
  for (let n = 0; n < 20; n += 1) alive.push((await call('/livez')).status)
  const meanwhile = refreshes(simulator).length
  other.exec('rollback')
  other.close()

  t.strictSame(new Set(alive), new Set([200]))
  // HighLevel is not asked before the intent is on disk.
  t.equal(meanwhile, 0)
  t.equal((await reply).status, 200)
  t.equal(refreshes(simulator).length, 1)
})

t.test('a refusal by a server in front of HighLevel’s token endpoint does not end a grant', async (t) => {
  for (const [status, message] of [
    [403, 'Forbidden resource'],
    [404, 'Cannot POST /oauth/token']
  ] as const) {
    const clock = createClock()
    const simulator = await startSimulator(t, { now: clock.now })
    const { patch, vault } = await startGateway(t, { simulator, now: clock.now })
    clock.move(25 * HOUR)
    simulator.failNext({ kind: 'status', status, body: { statusCode: status, message }, path: '/oauth/token' })

    const refused = await patch(CHANGE)
    const state = (await vault.loadGrant(LOCATION))?.state
    clock.move(6_000)

    t.match(refused.json, { status: 503, code: 'upstream-unavailable' })
    t.equal(state, 'backing-off')
    t.equal((await patch(CHANGE)).status, 200)
  }
})
