import { generateKeyPairSync, sign } from 'node:crypto'
import t, { type Test } from 'tap'
import { SEED } from '../simulator/seed.ts'
import { TICKET } from '../simulator/seed-objects.ts'
import { createClock } from '../support/clock.ts'
import {
  type GatewayOptions,
  RECORD,
  startGateway,
  startSimulator,
  temporaryFolder,
  until
} from '../support/harness.ts'
import { NO_POSTGRES, postgresDatabase } from '../support/postgres.ts'
import { startProxy } from '../support/proxy.ts'

const CHANGE = { properties: { customer_number: 5 } }
const APP = '66f0a1b2c3d4e5f6a7b8c9d0'
const LOCATION = `location:${SEED.locationId}` as const

const ownKeys = generateKeyPairSync('ed25519')
const otherKeys = generateKeyPairSync('ed25519')
const HIGHLEVEL_WEBHOOK_KEY = ownKeys.publicKey.export({ format: 'der', type: 'spki' }).toString('base64')

let deliveries = 0

async function open(
  t: Test,
  { env = {}, connected = true, now }: Pick<GatewayOptions, 'env' | 'connected' | 'now'> = {}
) {
  const simulator = await startSimulator(t, now && { now })
  const gateway = await startGateway(t, {
    simulator,
    connected,
    ...(now && { now }),
    env: { HIGHLEVEL_WEBHOOK_KEY, ...env }
  })
  const post = (body: string, headers: Record<string, string>) =>
    gateway.call('/webhooks/highlevel', { method: 'POST', key: null, body, headers })
  const signed = (body: string, key = ownKeys.privateKey) => ({
    'x-ghl-signature': sign(null, Buffer.from(body), key).toString('base64')
  })
  const deliver = (event: object) => {
    deliveries += 1
    const timestamp = new Date().toISOString()
    const body = JSON.stringify({ appId: APP, timestamp, webhookId: `delivery-${deliveries}`, ...event })
    return post(body, signed(body))
  }
  const grant = () => gateway.vault.loadGrant(LOCATION)
  return { simulator, ...gateway, post, signed, deliver, grant }
}

const uninstall = { type: 'UNINSTALL', locationId: SEED.locationId }
const install = { type: 'INSTALL', installType: 'Location', locationId: SEED.locationId, companyId: SEED.companyId }

t.test('a delivery that HighLevel did not sign is refused and changes nothing', async (t) => {
  const { post, signed, patch, grant } = await open(t)
  const body = JSON.stringify({ ...uninstall, appId: APP, timestamp: new Date().toISOString() })

  const replies = [
    await post(body, {}),
    await post(body, { 'x-ghl-signature': 'N/A' }),
    await post(body, { 'x-ghl-signature': '' }),
    await post(body, { 'x-ghl-signature': `${'A'.repeat(86)}==` }),
    await post(body, signed(body, otherKeys.privateKey)),
    // The same JSON in other bytes.
    await post(`${body} `, signed(body)),
    await post('', signed(body)),
    await post(body, { 'x-wh-signature': signed(body)['x-ghl-signature'] })
  ]

  for (const { json, status } of replies) t.match({ status, ...json }, { status: 401, code: 'unauthenticated' })
  t.match(await grant(), { state: 'connected' })
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('the signature is checked over the raw bytes, whatever the content type', async (t) => {
  const { post, signed, grant } = await open(t)
  const at = new Date().toISOString()
  const body = `{ "type" : "UNINSTALL",\n "appId":"${APP}", "timestamp":"${at}", "locationId":"${SEED.locationId}" }`

  const reply = await post(body, { ...signed(body), 'content-type': 'text/plain; charset=latin1' })

  t.match(reply, { status: 200, json: { status: 'done' } })
  t.match(await grant(), { state: 'uninstalled' })
})

t.test('an event that does not concern this gateway’s app is accepted and ignored', async (t) => {
  const { deliver, post, signed, grant, call, adminOrigin } = await open(t)

  const replies = [
    await deliver({ type: 'ContactCreate', locationId: SEED.locationId }),
    await deliver({ ...uninstall, appId: 'another-app-of-highlevels' }),
    await deliver({ ...uninstall, appId: undefined })
  ]
  const broken = [await post('{"type":', signed('{"type":')), await post('[]', signed('[]'))]

  for (const { status, json } of replies) t.match({ status, json }, { status: 200, json: { status: 'ignored' } })
  t.strictSame(
    broken.map(({ json }) => json['code']),
    ['invalid-json', 'invalid-request']
  )
  t.match(await grant(), { state: 'connected' })
  const metrics = await (await fetch(`${adminOrigin}/metrics`)).text()
  t.match(metrics, /gateway_webhooks_total\{type="other",result="ignored"\} 1/)
  t.match(metrics, /gateway_webhooks_total\{type="UNINSTALL",result="ignored"\} 2/)
  t.equal((await call('/webhooks/highlevel', { key: null })).status, 405)
})

t.test('an uninstall removes the tokens of a location at once', async (t) => {
  const { deliver, patch, call, grant } = await open(t)
  const object = `/objects/${SEED.schemaKey}?locationId=${SEED.locationId}`
  await patch(CHANGE)
  t.equal((await call(object)).status, 200)

  const reply = await deliver(uninstall)

  t.match(reply, { status: 200, json: { status: 'done' } })
  t.match(await grant(), { state: 'uninstalled', tokens: null, stateReason: 'the app was uninstalled' })
  t.equal((await patch(CHANGE)).json['code'], 'location-not-connected')
  t.equal((await call(object)).json['code'], 'location-not-connected')
})

t.test('an uninstall of a company removes its tokens and those minted from it', async (t) => {
  const { simulator, deliver, install: finish, patch, vault, grant } = await open(t, { connected: false })
  await finish(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)
  await patch(CHANGE)

  await deliver({ type: 'UNINSTALL', companyId: SEED.companyId })

  t.match(await grant(), { state: 'uninstalled', tokens: null })
  t.match(await vault.loadGrant(`company:${SEED.companyId}`), { state: 'uninstalled', tokens: null })
})

t.test('an uninstall of the app keeps a private integration token', async (t) => {
  const { deliver, grant, vault } = await open(t, { connected: false })
  const tokens = { accessToken: 'pit-of-a-person', expiresAt: null, issuedAt: 0 }
  const grantFields = {
    subject: LOCATION,
    kind: 'private',
    companyId: null,
    scopes: '',
    verified: true,
    stateSince: 0
  } as const
  await vault.installGrant({ ...grantFields, tokens, dueAt: null }, { id: 'pit', at: 0, isRepeated: false })

  t.match(await deliver(uninstall), { status: 200 })
  t.match(await grant(), { kind: 'private', state: 'connected' })
})

t.test('an install under a connected company mints the token of the location before its first call', async (t) => {
  const { simulator, deliver, install: finish, patch, grant } = await open(t, { connected: false })
  await finish(simulator.connectCompany({ bulk: true }).code)
  const before = await grant()

  const reply = await deliver(install)
  await until(async () => (await grant())?.tokens != null)

  t.match(reply, { status: 200, json: { status: 'done' } })
  t.match(before, { kind: 'minted', tokens: null, dueAt: null }, 'without the webhook it is minted on its first call')
  t.match(await grant(), { kind: 'minted', state: 'connected', companyId: SEED.companyId })
  t.equal((await patch(CHANGE)).status, 200)
  t.equal(simulator.received({ path: '/oauth/locationToken' }).length, 1)
})

t.test(
  'a location whose install is reported before its company is connected gets its token once the company is',
  async (t) => {
    const { simulator, deliver, install: finish, grant } = await open(t, { connected: false })

    await deliver(install)
    const waiting = await grant()
    await finish(simulator.connectCompany({ bulk: true }).code)
    await until(async () => (await grant())?.tokens != null)

    t.match(waiting, {
      kind: 'minted',
      tokens: null,
      state: 'backing-off',
      stateReason: /not connected yet/,
      dueAt: null
    })
    t.match(await grant(), { kind: 'minted', state: 'connected' })
  }
)

t.test('a location’s own install is kept whether its webhook comes before, after, twice or never', async (t) => {
  for (const order of ['before', 'after', 'twice', 'never'] as const) {
    const { simulator, deliver, install: finish, patch, grant } = await open(t, { connected: false })
    if (order === 'before' || order === 'twice') await deliver(install)
    await finish(simulator.connect().code)
    if (order === 'after' || order === 'twice') await deliver(install)

    t.match(await grant(), { kind: 'oauth', state: 'connected', tokens: { refreshToken: String } }, order)
    t.equal((await patch(CHANGE)).status, 200, order)
    t.strictSame(simulator.received({ path: '/oauth/locationToken' }), [], order)
  }
})

t.test('a late uninstall webhook from before the current install changes nothing', async (t) => {
  const { deliver, grant } = await open(t)

  const timestamp = new Date(Date.now() - 60_000).toISOString()
  await deliver({ ...uninstall, timestamp })

  t.match(await grant(), { state: 'connected' })
})

t.test('a delivery that is more than a day old or more than five minutes ahead is refused', async (t) => {
  const { deliver, grant } = await open(t)
  const now = Date.now()
  const uninstalledAt = (ms: number) => deliver({ ...uninstall, timestamp: new Date(now + ms).toISOString() })

  for (const ms of [-86_400_000, 360_000]) {
    t.match((await uninstalledAt(ms)).json, { status: 401, code: 'unauthenticated' }, `${ms} ms`)
  }
  for (const ms of [-301_000, -86_000_000]) {
    t.match((await uninstalledAt(ms)).json, { status: 'done' }, `${ms} ms: HighLevel repeats deliveries for hours`)
  }
  const asNumber = await deliver({ ...uninstall, timestamp: now - 290_000 })
  t.match(asNumber, { status: 200 }, 'epoch milliseconds are accepted too')
  t.match(await grant(), { state: 'connected' }, 'the install is newer than all of these')
  await uninstalledAt(200_000)
  const after = await grant()
  t.match(after, { state: 'uninstalled' })
  t.ok((after?.stateSince ?? 0) < now + 200_000, 'a time ahead is capped at now')
})

t.test('a delivery that is repeated for hours is handled once', async (t) => {
  const clock = createClock(Date.now())
  const { deliver, grant, install: finish, simulator } = await open(t, { now: clock.now })
  clock.move(1_000)
  const event = { ...uninstall, webhookId: 'repeated', timestamp: new Date(clock.now()).toISOString() }

  const statuses = [(await deliver(event)).json['status']]
  clock.move(1_000)
  await finish(simulator.connect().code)
  for (let hour = 0; hour < 23; hour += 1) {
    clock.move(3_600_000)
    statuses.push((await deliver(event)).json['status'])
  }
  clock.move(3_600_000)
  const tooOld = await deliver(event)

  t.strictSame(statuses, ['done', ...Array(23).fill('duplicate')])
  t.match(tooOld.json, { status: 401, code: 'unauthenticated' })
  t.match(await grant(), { state: 'connected' })
})

t.test('a delivery is handled once across processes, also without a webhook id', async (t) => {
  const DATABASE_URL = `sqlite:${temporaryFolder(t)}/gateway.db`
  const first = await open(t, { env: { DATABASE_URL } })
  const withoutId = JSON.stringify({ ...uninstall, appId: APP, timestamp: new Date().toISOString() })
  const withId = { ...install, webhookId: 'delivery-of-one' }

  const statuses = [
    (await first.deliver(withId)).json['status'],
    (await first.deliver(withId)).json['status'],
    (await first.post(withoutId, first.signed(withoutId))).json['status']
  ]
  await first.close()
  const second = await open(t, { env: { DATABASE_URL } })
  statuses.push((await second.post(withoutId, second.signed(withoutId))).json['status'])
  statuses.push((await second.deliver(withId)).json['status'])

  t.strictSame(statuses, ['done', 'duplicate', 'done', 'duplicate', 'duplicate'])
  t.match(await second.grant(), { state: 'connected' }, 'it was connected again afterwards')
})

t.test('two events with the same webhook id are both handled', async (t) => {
  const { deliver, grant } = await open(t, { connected: false })

  await deliver({ ...install, webhookId: 'the-same' })
  const installed = await grant()
  const reply = await deliver({ ...uninstall, webhookId: 'the-same' })

  t.match(installed, { kind: 'minted' })
  t.match(reply.json, { status: 'done' })
  t.match(await grant(), { state: 'uninstalled' })
})

t.test('an event that cannot be stored is refused, and handled when it is delivered again', async (t) => {
  const url = await postgresDatabase(t)
  if (url === undefined) return void t.pass('not run', { skip: NO_POSTGRES })
  const { hostname, port } = new URL(url)
  const proxy = await startProxy(t, { host: hostname, port: Number(port || 5432) })
  const DATABASE_URL = Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(proxy.port) }).href
  const { deliver, grant, call } = await open(t, { env: { DATABASE_URL } })
  const event = { ...uninstall, webhookId: 'delivered-again', timestamp: new Date().toISOString() }
  proxy.set('cut')

  const refused = await deliver(event)
  proxy.set('pass')
  await until(async () => (await call('/readyz')).status === 200)
  const accepted = await deliver(event)

  t.match(refused.json, { status: 503, code: 'vault-unavailable', retryable: true })
  t.match(refused.headers.get('retry-after'), /^\d+$/)
  t.match(accepted.json, { status: 'done' })
  t.match(await grant(), { state: 'uninstalled' })
})

t.test('an install that is reported after a later uninstall connects nothing', async (t) => {
  const { deliver, grant } = await open(t, { connected: false })
  const start = Date.now() - 60_000
  const at = (ms: number) => new Date(start + ms).toISOString()

  await deliver({ ...uninstall, timestamp: at(10) })
  await deliver({ ...uninstall, timestamp: at(30) })
  await deliver({ ...install, timestamp: at(20) })
  const after = await grant()
  await deliver({ ...install, timestamp: at(40) })

  t.match(after, { state: 'uninstalled', tokens: null })
  t.match(await grant(), { kind: 'minted', state: 'backing-off' })
})

t.test('a client that sends many forged deliveries is rate limited', async (t) => {
  const { post } = await open(t, { connected: false })

  const statuses = []
  for (let n = 0; n < 61; n += 1) statuses.push((await post('{}', { 'x-ghl-signature': 'N/A' })).status)

  t.strictSame([statuses[0], statuses.at(-1)], [401, 429])
})

t.test('the gateway’s clock decides whether a delivery is too old', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { call } = await startGateway(t, {
    simulator,
    now: clock.now,
    connected: false,
    env: { HIGHLEVEL_WEBHOOK_KEY }
  })
  const send = (at: number) => {
    const body = JSON.stringify({
      type: 'INSTALL',
      appId: APP,
      timestamp: new Date(at).toISOString(),
      webhookId: `at-${at}`
    })
    const signature = sign(null, Buffer.from(body), ownKeys.privateKey).toString('base64')
    return call('/webhooks/highlevel', { method: 'POST', key: null, body, headers: { 'x-ghl-signature': signature } })
  }

  t.strictSame([(await send(clock.now())).status, (await send(Date.now())).status], [200, 401])
})

t.test('a schema event makes a changed object known at once, whatever app it names', async (t) => {
  const { simulator, patch, deliver, post, signed } = await open(t)
  await patch(CHANGE)
  const options = [{ key: 'bug', label: 'Bug' }]
  const change = (key: string) => ({
    ...TICKET,
    fields: TICKET.fields.map((field) =>
      field.fieldKey.endsWith('type_of_ticket') ? { ...field, options: options.map((one) => ({ ...one, key })) } : field
    )
  })
  const event = { type: 'ObjectSchemaUpdate', locationId: SEED.locationId, key: SEED.schemaKey }

  // The cached schema accepts the label and translates it to the old key: only the event reveals the new key.
  simulator.putObject(change('defect'))
  const changed = await deliver(event)
  const first = await patch({ properties: { type_of_ticket: 'Bug' } })
  simulator.putObject(change('fault'))
  const body = JSON.stringify({ ...event, type: 'ObjectSchemaCreate' })
  const created = await post(body, signed(body))
  const second = await patch({ properties: { type_of_ticket: 'Bug' } })
  const withoutLocation = await deliver({ type: 'ObjectSchemaUpdate' })

  t.match(changed.json, { status: 'done' })
  t.match(first.json, { record: { properties: { type_of_ticket: 'defect' } } })
  t.match(created.json, { status: 'done' }, 'a schema event needs no app, time or id')
  t.match(second.json, { record: { properties: { type_of_ticket: 'fault' } } })
  t.match(withoutLocation.json, { status: 'ignored' })
})

t.test('a schema event that arrives while the object is being fetched is not missed', async (t) => {
  const { simulator, patch, deliver } = await open(t)
  const reads = () => simulator.received({ method: 'GET' }).length
  simulator.failNext({ method: 'GET', path: `/objects/${SEED.schemaKey}`, kind: 'slow', delayMs: 500 })
  const early = patch(CHANGE)
  await until(() => reads() === 1)
  simulator.putObject({
    ...TICKET,
    fields: [...TICKET.fields, { name: 'Engine', fieldKey: `${TICKET.key}.engine`, dataType: 'NUMERICAL' }]
  })
  await deliver({ type: 'ObjectSchemaUpdate', locationId: SEED.locationId })

  const path = RECORD.replace(SEED.recordId, 'f'.repeat(24))
  const reply = await patch({ properties: { engine: 5 } }, {}, path)

  t.match(reply.json, { code: 'record-not-found' }, 'the new field is known')
  t.equal((await early).status, 200)
  t.equal(reads(), 2)
})
