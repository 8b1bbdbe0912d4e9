import t, { type Test } from 'tap'
import { SEED } from '../simulator/seed.ts'
import { createClock } from '../support/clock.ts'
import { startGateway, startSimulator, until } from '../support/harness.ts'

const CHANGE = { properties: { customer_number: 5 } }
const LOCATION = `location:${SEED.locationId}` as const
const DAY_MS = 86_400_000

async function open(t: Test, { connected = true } = {}) {
  const clock = createClock(Date.now())
  const simulator = await startSimulator(t, { now: clock.now })
  const gateway = await startGateway(t, { simulator, now: clock.now, connected })
  const grant = () => gateway.vault.loadGrant(LOCATION)
  return { ...gateway, simulator, clock, grant }
}

t.test('a reinstall without a refresh token keeps the previous one', async (t) => {
  const { simulator, clock, install, patch, grant } = await open(t)
  const before = await grant()
  simulator.omitFromInstalls(['refresh_token'])

  const page = await install(simulator.connect().code)
  const after = await grant()
  clock.move(2 * DAY_MS)
  const later = await patch(CHANGE)

  t.match(page.text, /sent no refresh token. The previous one is still used/)
  t.equal(after?.tokens?.refreshToken, before?.tokens?.refreshToken)
  t.not(after?.tokens?.accessToken, before?.tokens?.accessToken, 'the new access token is used')
  t.equal(later.status, 200)
  t.match(await grant(), { state: 'connected' })
})

t.test('a refresh token that HighLevel has refused is not kept', async (t) => {
  const { simulator, clock, install, patch, grant } = await open(t)
  simulator.revokeGrants()
  simulator.omitFromInstalls(['refresh_token'])

  await install(simulator.connect().code)
  t.equal((await patch(CHANGE)).status, 200, 'the access token of the reinstall')
  clock.move(2 * DAY_MS)
  await patch(CHANGE)
  await until(async () => (await grant())?.state === 'reconnect-required')
  const page = await install(simulator.connect().code)

  t.match(page.text, /sent no refresh token. Unless its company is connected, this connection ends on 2/)
  t.notOk((await grant())?.tokens?.refreshToken)
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('a reinstall without a refresh token waits for a renewal in progress, and keeps its result', async (t) => {
  const { simulator, clock, install, patch, grant } = await open(t)
  clock.move(2 * DAY_MS)
  simulator.failNext({ kind: 'slow', delayMs: 1_000, path: '/oauth/token' })
  const renewed = patch(CHANGE)
  await until(() => simulator.received({ path: '/oauth/token' }).length > 0)
  simulator.omitFromInstalls(['refresh_token'])

  await install(simulator.connect().code)
  await renewed
  clock.move(2 * DAY_MS)

  t.equal((await patch(CHANGE)).status, 200)
  t.match(await grant(), { state: 'connected' })
  t.equal(simulator.tokenCalls().filter(({ status }) => status !== 200).length, 0, 'no token was spent twice')
})

t.test('a reinstall without a refresh token helps a grant that could not be renewed for a long time', async (t) => {
  const { simulator, clock, install, patch, grant } = await open(t)
  const before = await grant()
  clock.move(2 * DAY_MS)
  simulator.failNext({ kind: 'status', status: 500, path: '/oauth/token' })
  await patch(CHANGE)
  await until(async () => (await grant())?.state === 'backing-off')
  simulator.failNext({ kind: 'status', status: 400, body: { error: 'invalid_client' }, path: '/oauth/token' })
  clock.move(600_000)
  await until(async () => ((await grant())?.failures ?? 0) > 1)
  t.type((await grant())?.intentAt, 'number', 'the outcome of the first refresh is unknown')
  simulator.omitFromInstalls(['refresh_token'])

  const page = await install(simulator.connect().code)

  t.match(page.text, /sent no refresh token. The previous one is still used/)
  t.equal((await grant())?.tokens?.refreshToken, before?.tokens?.refreshToken)
  t.equal((await patch(CHANGE)).status, 200, 'the access token of the reinstall')
})

t.test('a private integration token is not replaced by a token that expires', async (t) => {
  const { simulator, clock, install, patch, grant, vault } = await open(t, { connected: false })
  const tokens = { accessToken: simulator.privateToken(), expiresAt: null, issuedAt: 0 }
  const grantFields = { subject: LOCATION, kind: 'private', companyId: null, scopes: '', verified: true } as const
  await vault.installGrant(
    { ...grantFields, tokens, stateSince: 0, dueAt: null },
    { id: 'pit', at: clock.now(), isRepeated: false }
  )
  simulator.omitFromInstalls(['refresh_token'])

  const page = await install(simulator.connect().code)
  clock.move(2 * DAY_MS)

  t.match(page.text, /The previous connection is still used/)
  t.match(await grant(), { kind: 'private' })
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('a reinstall of a company without a refresh token keeps the previous one', async (t) => {
  const { simulator, clock, install, patch } = await open(t, { connected: false })
  await install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)
  simulator.omitFromInstalls(['refresh_token'])

  await install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)
  clock.move(2 * DAY_MS)

  t.equal((await patch(CHANGE)).status, 200)
})

t.test('what HighLevel’s answer to a reinstall omits stays as it was', async (t) => {
  const { simulator, install, grant, patch } = await open(t)
  const before = await grant()
  simulator.omitFromInstalls(['scope', 'companyId', 'userType', 'expires_in'])

  const page = await install(simulator.connect().code)
  const after = await grant()

  t.notMatch(page.text, /not granted/)
  t.match(after, { scopes: before?.scopes ?? '', companyId: SEED.companyId, state: 'connected' })
  t.ok((after?.tokens?.expiresAt ?? 0) > 0)
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('a token that names a company and no location belongs to the company', async (t) => {
  const { simulator, install, patch } = await open(t, { connected: false })
  simulator.omitFromInstalls(['userType'])

  const page = await install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)

  t.match(page.text, `Company ${SEED.companyId} is connected.`)
  t.equal((await patch(CHANGE)).status, 200)
})
