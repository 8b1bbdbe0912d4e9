import t, { type Test } from 'tap'
import { SEED } from '../simulator/seed.ts'
import type { Delivery } from '../simulator/webhooks.ts'
import { createClock } from '../support/clock.ts'
import { type GatewayOptions, startGateway, startSimulator, temporaryFolder, until } from '../support/harness.ts'

const CHANGE = { properties: { customer_number: 5 } }
const UNDATED = { undated: true }
const LOCATION = `location:${SEED.locationId}` as const
const COMPANY = `company:${SEED.companyId}` as const

async function open(t: Test, { env = {}, ...options }: GatewayOptions = {}) {
  const simulator = options.simulator ?? (await startSimulator(t, options.now && { now: options.now }))
  const gateway = await startGateway(t, {
    ...options,
    simulator,
    env: { HIGHLEVEL_WEBHOOK_KEY: simulator.webhookKey, ...env }
  })
  const post = async (delivery: Delivery) =>
    (await gateway.call('/webhooks/highlevel', { method: 'POST', key: null, ...delivery })).json['status']
  const stateOf = async (subject: typeof LOCATION | typeof COMPANY) => (await gateway.vault.loadGrant(subject))?.state
  const isVerified = async () => (await gateway.vault.loadGrant(LOCATION))?.uninstallReportedAt === null
  const refreshes = () => simulator.tokenCalls().filter(({ grantType }) => grantType === 'refresh_token').length
  return { ...gateway, simulator, post, stateOf, isVerified, refreshes }
}

t.test('an uninstall without a time keeps a grant that HighLevel still renews', async (t) => {
  const { simulator, post, patch, stateOf, isVerified, refreshes } = await open(t)

  const status = await post(simulator.uninstallWebhook(SEED.locationId, UNDATED))
  const meanwhile = await patch(CHANGE)
  await until(isVerified)

  t.equal(status, 'pending')
  t.equal(meanwhile.status, 200)
  t.equal(refreshes(), 1, 'HighLevel was asked')
  t.equal(await stateOf(LOCATION), 'connected')
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('an uninstall without a time counts once HighLevel confirms it, without an error in the log', async (t) => {
  const { simulator, post, stateOf, vault, logged } = await open(t)
  simulator.uninstall(SEED.locationId)

  await post(simulator.uninstallWebhook(SEED.locationId, UNDATED))
  await until(async () => (await stateOf(LOCATION)) === 'uninstalled')

  t.match(await vault.loadGrant(LOCATION), { tokens: null, stateReason: 'the app was uninstalled' })
  t.strictSame(
    logged().filter(({ level }) => level === 'error'),
    []
  )
})

t.test('a grant is kept while HighLevel is down, and the uninstall is verified when it is back', async (t) => {
  const { simulator, post, patch, stateOf, vault } = await open(t)
  simulator.uninstall(SEED.locationId)
  simulator.failNext({ kind: 'status', status: 503, path: '/oauth/token', times: 3 })

  await post(simulator.uninstallWebhook(SEED.locationId, UNDATED))
  await until(async () => ((await vault.loadGrant(LOCATION))?.failures ?? 0) > 0)
  const whileDown = await vault.loadGrant(LOCATION)
  await until(async () => (await stateOf(LOCATION)) === 'uninstalled')

  t.match(whileDown, { state: 'backing-off', tokens: { refreshToken: String } })
  t.equal((await patch(CHANGE)).json['code'], 'location-not-connected')
})

t.test('an uninstall that one process received is verified by another', async (t) => {
  const DATABASE_URL = `sqlite:${temporaryFolder(t)}/gateway.db`
  const first = await open(t, { env: { DATABASE_URL } })
  const { simulator } = first
  simulator.uninstall(SEED.locationId)
  simulator.failNext({ kind: 'status', status: 503, path: '/oauth/token' })
  await first.post(simulator.uninstallWebhook(SEED.locationId, UNDATED))
  await first.close()

  const second = await open(t, { simulator, connected: false, env: { DATABASE_URL } })
  await until(async () => (await second.stateOf(LOCATION)) === 'uninstalled')

  t.equal((await second.patch(CHANGE)).json['code'], 'location-not-connected')
})

t.test('a reinstall while an uninstall is being verified is kept', async (t) => {
  const { simulator, post, install, stateOf, patch, refreshes } = await open(t)
  simulator.uninstall(SEED.locationId)
  simulator.failNext({ kind: 'slow', delayMs: 1_000, path: '/oauth/token' })

  await post(simulator.uninstallWebhook(SEED.locationId, UNDATED))
  await until(() => simulator.received({ path: '/oauth/token' }).length > 0)
  await install(simulator.connect().code)
  await until(() => refreshes() > 0)

  t.equal(await stateOf(LOCATION), 'connected')
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('a repeated uninstall counts again after the next install, and is verified at most once a minute', async (t) => {
  const clock = createClock(Date.now())
  const { simulator, post, install, stateOf, isVerified, refreshes } = await open(t, { now: clock.now })
  const delivery = simulator.uninstallWebhook(SEED.locationId, UNDATED)

  for (let n = 0; n < 5; n += 1) await post(delivery)
  await until(isVerified)
  for (let n = 0; n < 5; n += 1) await post(delivery)
  const asked = refreshes()
  clock.move(60_000)
  await until(isVerified)
  const askedAgain = refreshes()
  await install(simulator.connect().code)
  simulator.uninstall(SEED.locationId)
  clock.move(1_000)
  const last = await post(delivery)
  clock.move(60_000)
  await until(async () => (await stateOf(LOCATION)) === 'uninstalled')

  t.strictSame([asked, askedAgain], [1, 2])
  t.equal(last, 'pending')
})

t.test('an uninstall of a company without a time is verified, and ends the tokens minted from it', async (t) => {
  const { simulator, post, install, patch, stateOf, vault } = await open(t, { connected: false })
  await install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)
  await patch(CHANGE)

  await post(simulator.companyUninstallWebhook(UNDATED))
  await until(async () => (await vault.loadGrant(COMPANY))?.uninstallReportedAt === null)
  const afterVerification = [await stateOf(COMPANY), await stateOf(LOCATION)]
  simulator.revokeGrants()
  await vault.reportUninstall(COMPANY, Date.now(), Date.now())
  await until(async () => (await stateOf(COMPANY)) === 'uninstalled')

  t.strictSame(afterVerification, ['connected', 'connected'])
  t.equal(await stateOf(LOCATION), 'uninstalled')
})

t.test(
  'an uninstall of a minted token is verified by a mint, and of a private integration token not at all',
  async (t) => {
    const { simulator, post, install, patch, stateOf, vault } = await open(t, { connected: false })
    await install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)
    await patch(CHANGE)
    simulator.uninstall(SEED.locationId)

    const minted = await post(simulator.uninstallWebhook(SEED.locationId, UNDATED))
    await until(async () => (await stateOf(LOCATION)) === 'uninstalled')
    const grantFields = {
      subject: LOCATION,
      companyId: null,
      scopes: '',
      verified: true,
      stateSince: 0,
      dueAt: null
    } as const
    const tokens = { accessToken: 'pit', expiresAt: null, issuedAt: 0 }
    await vault.installGrant(
      { ...grantFields, kind: 'private', tokens },
      { id: 'pit', at: Date.now(), isRepeated: false }
    )
    await post(simulator.uninstallWebhook(SEED.locationId, UNDATED))

    t.equal(minted, 'pending')
    t.match(await vault.loadGrant(LOCATION), { kind: 'private', state: 'connected', uninstallReportedAt: null })
  }
)
