import t, { type Test } from 'tap'
import { SEED } from '../simulator/seed.ts'
import type { Delivery } from '../simulator/webhooks.ts'
import { RECORD, startGateway, startSimulator, until } from '../support/harness.ts'

const CHANGE = { properties: { customer_number: 5 } }
const SECOND = `location:${SEED.secondLocationId}` as const
const second = RECORD.replace(SEED.locationId, SEED.secondLocationId).replace(SEED.recordId, SEED.secondRecordId)

/** A gateway with a connected company, of which one location gets the app later. */
async function open(t: Test, { others = [] as string[] } = {}) {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, {
    simulator,
    connected: false,
    env: { HIGHLEVEL_WEBHOOK_KEY: simulator.webhookKey }
  })
  simulator.uninstall(SEED.secondLocationId)
  await gateway.install(simulator.connectCompany({ bulk: true }).code)
  for (const id of others) {
    const grantFields = { subject: `company:${id}`, kind: 'oauth', companyId: id, scopes: '', verified: true } as const
    const tokens = {
      accessToken: `of-${id}`,
      refreshToken: `of-${id}`,
      expiresAt: Date.now() + 86_400_000,
      issuedAt: 0
    }
    const install = { id, at: Date.now(), isRepeated: false }
    await gateway.vault.installGrant({ ...grantFields, tokens, stateSince: 0, dueAt: null }, install)
  }
  const post = (delivery: Delivery) => gateway.call('/webhooks/highlevel', { method: 'POST', key: null, ...delivery })
  const installSecond = () => void simulator.grantTokens(SEED.secondLocationId)
  const webhook = () => simulator.installWebhook(SEED.secondLocationId, { withoutCompany: true })
  const grant = () => gateway.vault.loadGrant(SECOND)
  return { ...gateway, simulator, post, installSecond, webhook, grant }
}

t.test('an install without a company belongs to the only connected company', async (t) => {
  const { post, installSecond, webhook, grant, patch } = await open(t)
  const before = await grant()
  installSecond()

  const reply = await post(webhook())

  t.equal(before, undefined)
  t.match(reply.json, { status: 'done' })
  t.match(await grant(), { kind: 'minted', companyId: SEED.companyId })
  t.equal((await patch(CHANGE, {}, second)).status, 200)
})

t.test('an install without a company belongs to the company that lists the location', async (t) => {
  const { post, installSecond, webhook, grant, simulator } = await open(t, { others: ['AnotherCompany'] })
  installSecond()

  const reply = await post(webhook())
  await until(async () => (await grant())?.tokens != null)

  t.match(reply.json, { status: 'done' })
  t.match(await grant(), { kind: 'minted', companyId: SEED.companyId })
  t.equal(simulator.received({ path: '/oauth/locationToken' }).length, 1)
})

t.test('when HighLevel cannot list locations, the delivery is refused so that it comes again', async (t) => {
  const { post, installSecond, webhook, grant, simulator } = await open(t, { others: ['AnotherCompany'] })
  installSecond()
  const delivery = webhook()
  simulator.failNext({ kind: 'status', status: 503, path: '/oauth/installedLocations', times: 2 })

  const refused = await post(delivery)
  const afterRefusal = await grant()
  const accepted = await post(delivery)

  t.match(refused.json, { status: 503, code: 'upstream-unavailable', retryable: true })
  t.equal(afterRefusal, undefined)
  t.match(accepted.json, { status: 'done' })
  t.match(await grant(), { kind: 'minted', companyId: SEED.companyId })
})

t.test('a location with tokens of its own keeps them, and HighLevel is not asked', async (t) => {
  const { post, install, webhook, grant, simulator } = await open(t, { others: ['AnotherCompany'] })
  await install(simulator.connect(SEED.secondLocationId).code)
  simulator.clearReceived()

  const reply = await post(webhook())

  t.match(reply.json, { status: 'done' })
  t.match(await grant(), { kind: 'oauth', state: 'connected' })
  t.strictSame(simulator.received(), [])
})

t.test('without a connected company, an install without a company changes nothing', async (t) => {
  const { post, webhook, grant, simulator } = await open(t)
  await post(simulator.companyUninstallWebhook())

  t.match((await post(webhook())).json, { status: 'done' })
  t.equal(await grant(), undefined)
})
