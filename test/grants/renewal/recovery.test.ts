import t, { type Test } from 'tap'
import { SEED } from '../../simulator/seed.ts'
import { createClock } from '../../support/clock.ts'
import { startGateway, startSimulator, until } from '../../support/harness.ts'

const CHANGE = { properties: { customer_number: 5 } }
const LOCATION = `location:${SEED.locationId}` as const
const COMPANY = `company:${SEED.companyId}` as const
const HOUR = 3_600_000
const invalidGrant = { kind: 'status', status: 400, body: { error: 'invalid_grant' }, path: '/oauth/token' } as const

async function open(t: Test) {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator })
  const refreshes = () => simulator.tokenCalls().filter(({ grantType }) => grantType === 'refresh_token')
  return { simulator, ...gateway, refreshes, grant: () => gateway.vault.loadGrant(LOCATION) }
}

t.test('after invalid_grant the refresh token before the current one is tried', async (t) => {
  const { simulator, patch, refreshes, grant } = await open(t)
  simulator.expireTokens()
  await patch(CHANGE)
  const renewed = await grant()
  await until(async () => (await grant())?.verified === true)
  simulator.expireToken(renewed?.tokens?.accessToken ?? '')
  simulator.failNext(invalidGrant)

  const reply = await patch(CHANGE)

  const sent = refreshes().map(({ refreshToken }) => refreshToken)
  t.strictSame(sent.slice(1), [renewed?.tokens?.refreshToken, renewed?.tokens?.previousRefreshToken])
  // Within its grace, the simulator answers with the tokens that the gateway has, which have expired.
  t.match(await grant(), { state: 'connected', generation: 3 })
  t.equal(reply.json['code'], 'location-reconnect-required')
})

t.test('after that a token is minted from the company, and later ones as well', async (t) => {
  const { simulator, patch, install, refreshes, grant } = await open(t)
  await install(simulator.connectCompany({ bulk: true }).code)
  simulator.revokeGrants(SEED.locationId)

  const replies = [await patch(CHANGE), await patch(CHANGE)]
  simulator.expireTokens(SEED.locationId)
  replies.push(await patch(CHANGE))

  t.strictSame(
    replies.map(({ status }) => status),
    [200, 200, 200]
  )
  t.match(await grant(), { kind: 'minted', state: 'connected', tokens: { refreshToken: undefined } })
  t.equal(refreshes().length, 1)
})

t.test('a temporary failure during recovery does not end the grant', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { patch, install, vault } = await startGateway(t, { simulator, now: clock.now })
  const grant = () => vault.loadGrant(LOCATION)
  await install(simulator.connectCompany({ bulk: true }).code)
  simulator.revokeGrants(SEED.locationId)
  simulator.failNext({ kind: 'status', status: 503, path: '/oauth/locationToken' })

  const reply = await patch(CHANGE)
  const after = await grant()
  await until(async () => {
    clock.move(1_000)
    return (await grant())?.kind === 'minted'
  })

  t.match(reply.json, { status: 503, code: 'upstream-unavailable' })
  t.match(after, { state: 'backing-off', failures: 1 })
  t.equal((await patch(CHANGE)).status, 200)
})

t.test(
  'when recovery fails, the problem says since when and where to reconnect, and HighLevel is not asked again',
  async (t) => {
    const { simulator, patch, install, refreshes, grant, lines } = await open(t)
    await install(simulator.connectCompany({ bulk: true }).code)
    simulator.revokeGrants()

    const replies = [await patch(CHANGE), await patch(CHANGE)]

    const since = new Date((await grant())?.stateSince ?? 0).toISOString()
    for (const { json } of replies) {
      t.match(json, { status: 409, code: 'location-reconnect-required', connectUrl: /\/oauth\/install$/ })
      t.ok(String(json['detail']).endsWith(since), String(json['detail']))
    }
    const ended = lines.filter((line) => line.includes('must be connected again'))
    t.strictSame(new Set(ended.map((line) => JSON.parse(line).subject)), new Set([LOCATION, COMPANY]))
    t.equal(ended.length, 2)
    const before = refreshes().length
    await patch(CHANGE)
    t.equal(refreshes().length, before)
  }
)

t.test('reconnecting a company reconnects the locations that had ended with it', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, install, vault } = await startGateway(t, { simulator, connected: false })
  await install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)
  simulator.revokeGrants()
  const lost = await patch(CHANGE)

  await install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)
  await until(async () => (await vault.loadGrant(LOCATION))?.tokens != null)

  t.equal(lost.json['code'], 'location-reconnect-required')
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('after invalid_grant, recovery waits for another process that may be about to save', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { patch, vault } = await startGateway(t, { simulator, now: clock.now })
  await patch(CHANGE)
  const renewed = await vault.loadGrant(LOCATION)
  // Another process claimed the grant, asked HighLevel and was suspended. Its lease has run out; it has the new tokens.
  await vault.claimGrant(LOCATION, 1, { owner: 'suspended', at: clock.now(), until: clock.now() })
  const { accessToken, refreshToken } = simulator.grantTokens()
  simulator.expireToken(renewed?.tokens?.accessToken ?? '')
  simulator.failNext(invalidGrant)
  clock.move(9_000)

  const reply = patch(CHANGE)
  await until(() => simulator.received({ path: '/oauth/token' }).length === 1)
  const tokens = { accessToken, refreshToken, expiresAt: clock.now() + 20 * HOUR, issuedAt: clock.now() }
  const grantFields = {
    subject: LOCATION,
    kind: 'oauth',
    companyId: SEED.companyId,
    scopes: '',
    verified: true
  } as const
  await vault.saveIssued({ ...grantFields, tokens, stateSince: 0, dueAt: tokens.expiresAt }, 1)

  t.equal((await reply).status, 200)
  t.match(await vault.loadGrant(LOCATION), { generation: 2, state: 'connected', tokens: { accessToken } })
  t.equal(simulator.received({ path: '/oauth/token' }).length, 1)
})

t.test('a 403 that does not name the location does not end a minted grant', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, install, vault } = await startGateway(t, { simulator, connected: false })
  await install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)
  const body = { statusCode: 403, message: 'Forbidden resource' }
  simulator.failNext({ kind: 'status', status: 403, body, path: '/oauth/locationToken' })

  const refused = await patch(CHANGE)
  const after = await vault.loadGrant(LOCATION)
  await until(async () => (await vault.loadGrant(LOCATION))?.tokens != null)

  t.match(refused.json, { status: 503, code: 'upstream-unavailable' })
  t.match(after, { state: 'backing-off', stateReason: /Forbidden resource/ })
  t.equal((await patch(CHANGE)).status, 200)
})

t.test(
  'a mint refused for a scope renews no company token, and one refused for an expired token renews it once',
  async (t) => {
    const { simulator, patch, install, refreshes, vault } = await open(t)
    await vault.markUninstalled(LOCATION, 'to be minted', Date.now())
    await install(simulator.connectCompany({ bulk: true }).code)
    const body = { statusCode: 401, message: 'The token is not authorized for this scope.' }
    simulator.failNext({ kind: 'status', status: 401, body, path: '/oauth/locationToken' })
    await patch(CHANGE)
    const forScope = refreshes().length
    simulator.expireToken((await vault.loadGrant(COMPANY))?.tokens?.accessToken ?? '')

    await until(async () => (await patch(CHANGE)).status === 200)

    t.strictSame([forScope, refreshes().length], [0, 1])
    t.match(await vault.loadGrant(COMPANY), { verified: true, generation: 2 })
  }
)

t.test('locations that had ended with their company are reconnected when its new tokens are saved late', async (t) => {
  const simulator = await startSimulator(t)
  const { patch, install, vault } = await startGateway(t, { simulator, connected: false })
  await install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)
  simulator.expireTokens()
  const failure = {
    stateSince: 1,
    stateReason: 'invalid_grant',
    failures: 1,
    dueAt: null,
    triedAt: 1,
    intentAt: null
  }
  await vault.claimGrant(COMPANY, 1, { owner: 'other process', at: Date.now(), until: Date.now() })
  await vault.recordFailure(COMPANY, 1, 'other process', { ...failure, state: 'reconnect-required' })
  const lost = await patch(CHANGE)
  const ended = await vault.loadGrant(LOCATION)

  // As the late save of another process leaves it, except that its renewal is due at once.
  const company = await vault.loadGrant(COMPANY)
  const grantFields = {
    subject: COMPANY,
    kind: 'oauth',
    companyId: SEED.companyId,
    scopes: '',
    verified: true,
    stateSince: 1
  } as const
  await vault.saveIssued({ ...grantFields, tokens: company?.tokens ?? null, dueAt: 1 }, 1)
  await until(async () => (await vault.loadGrant(LOCATION))?.tokens != null)

  t.equal(lost.json['code'], 'location-reconnect-required')
  t.match(ended, { state: 'reconnect-required', stateReason: 'the grant of the company has ended' })
  t.equal((await patch(CHANGE)).status, 200)
  t.ok(simulator.tokenCalls().every(({ status }) => status === 200))
})

const UNKNOWN_REFUSAL = { error: 'invalid_grant', error_description: 'Computer says no' }
const unknownRefusal = { kind: 'status', status: 400, body: UNKNOWN_REFUSAL, path: '/oauth/token' } as const

/** A gateway whose waits end by a clock that the test moves. */
async function withClock(t: Test) {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  // Long, so that on a slow machine no call times out before its wait is over.
  const env = { REQUEST_DEADLINE_MS: '120000' }
  const gateway = await startGateway(t, { simulator, now: clock.now, env })
  return {
    clock,
    simulator,
    ...gateway,
    grant: () => gateway.vault.loadGrant(LOCATION),
    refreshCount: () => simulator.tokenCalls().filter(({ grantType }) => grantType === 'refresh_token').length,
    /** Moves the clock until `work` has ended. */
    async moveClockDuring<Value>(work: Promise<Value>): Promise<Value> {
      const timer = setInterval(() => clock.move(2_000), 100)
      return work.finally(() => clearInterval(timer))
    }
  }
}

t.test('after a refusal in unknown words the refresh is repeated while the grace lasts', async (t) => {
  const { simulator, patch, grant, refreshCount, moveClockDuring } = await withClock(t)
  simulator.expireTokens()
  simulator.failNext({ ...unknownRefusal, times: 3 })

  const reply = await moveClockDuring(patch(CHANGE))

  t.equal(reply.status, 200)
  t.equal(refreshCount(), 4)
  t.match(await grant(), { state: 'connected', generation: 2 })
})

t.test('tokens that HighLevel issued before a refusal in unknown words are not lost', async (t) => {
  const { simulator, patch, grant, moveClockDuring } = await withClock(t)
  simulator.expireTokens()
  simulator.failNext({ ...unknownRefusal, kind: 'status-after', times: 2 })

  t.equal((await moveClockDuring(patch(CHANGE))).status, 200)
  t.match(await grant(), { state: 'connected', generation: 2 })
})

t.test('after the grace, unknown words end the grant with an alarm, and it is tried again in an hour', async (t) => {
  const { simulator, patch, grant, refreshCount, moveClockDuring, clock, lines } = await withClock(t)
  simulator.expireTokens()
  simulator.failNext({ ...unknownRefusal, times: 1_000 })
  const startedAt = clock.now()

  const replies = [await moveClockDuring(patch(CHANGE)), await patch(CHANGE)]

  t.ok(clock.now() - startedAt >= 30_000, `${clock.now() - startedAt} ms`)
  t.ok(refreshCount() >= 6, `${refreshCount()} refreshes`)
  for (const { json } of replies) t.match(json, { status: 409, code: 'location-reconnect-required' })
  t.equal(lines.filter((line) => line.includes('must be connected again')).length, 1)
  t.match(await grant(), { state: 'reconnect-required', dueAt: Number })

  // The grant had not ended after all.
  simulator.clearFaults()
  clock.move(HOUR)
  await until(async () => (await grant())?.state === 'connected')
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('before unknown words end a grant, a token is minted from the company', async (t) => {
  const { simulator, patch, grant, install, moveClockDuring } = await withClock(t)
  await install(simulator.connectCompany({ bulk: true }).code)
  simulator.expireTokens(SEED.locationId)
  simulator.failNext({ ...unknownRefusal, times: 1_000 })

  t.equal((await moveClockDuring(patch(CHANGE))).status, 200)
  t.match(await grant(), { kind: 'minted', state: 'connected' })
})

t.test('"revoked, rotated or expired" under invalid_request ends a grant with an alarm', async (t) => {
  const { simulator, patch, grant, lines } = await open(t)
  simulator.expireTokens()
  const body = { error: 'invalid_request', error_description: 'The refresh token was revoked, rotated or has expired' }
  simulator.failNext({ kind: 'status', status: 400, body, path: '/oauth/token', times: 10 })

  t.equal((await patch(CHANGE)).json['code'], 'location-reconnect-required')
  t.match(await grant(), { state: 'reconnect-required', dueAt: null })
  t.equal(lines.filter((line) => line.includes('must be connected again')).length, 1)
})

t.test('a temporary refusal raises an alarm once it has lasted for a quarter of an hour', async (t) => {
  const { simulator, patch, clock, lines, grant } = await withClock(t)
  simulator.expireTokens()
  const body = { error: 'invalid_client' }
  simulator.failNext({ kind: 'status', status: 401, body, path: '/oauth/token', times: 1_000 })

  for (let minute = 0; minute < 40; minute += 1) {
    t.equal((await patch(CHANGE)).status, 503)
    clock.move(60_000)
  }

  t.match(await grant(), { state: 'backing-off' })
  t.equal(lines.filter((line) => line.includes('could not be renewed for a quarter of an hour')).length, 1)
})
