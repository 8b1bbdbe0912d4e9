import t, { type Test } from 'tap'
import { SEED } from '../simulator/seed.ts'
import { createClock } from '../support/clock.ts'
import { type GatewayOptions, startGateway, startSimulator, temporaryFolder } from '../support/harness.ts'

const LOCATION = `location:${SEED.locationId}` as const

async function open(t: Test, options: GatewayOptions = {}) {
  const simulator = options.simulator ?? (await startSimulator(t, options.now && { now: options.now }))
  const gateway = await startGateway(t, { connected: false, ...options, simulator })
  const callback = (query: Record<string, string>) =>
    gateway.call(`/oauth/callback?${new URLSearchParams(query)}`, { key: null })
  const startInstall = async () =>
    new URL((await gateway.call('/oauth/install', { key: null })).headers.get('location') ?? '').searchParams.get(
      'state'
    ) ?? ''
  return { ...gateway, simulator, callback, startInstall }
}

t.test('a callback that is opened again shows the connection and sends HighLevel nothing', async (t) => {
  const { simulator, callback, startInstall } = await open(t)
  const query = { code: simulator.connect().code, state: await startInstall() }

  const pages = [await callback(query), await callback(query), await callback(query)]

  for (const { status, text } of pages) {
    t.equal(status, 200)
    t.match(text, /<h1>Connected<\/h1>/)
    t.match(text, `Location ${SEED.locationId} is connected.`)
  }
  t.equal(simulator.tokenCalls().length, 1)
})

t.test('a callback that is opened several times at once exchanges the code once', async (t) => {
  const { simulator, callback } = await open(t)
  const query = { code: simulator.connect().code }
  simulator.failNext({ kind: 'slow', delayMs: 300, path: '/oauth/token' })

  const pages = await Promise.all([callback(query), callback(query), callback(query)])

  for (const { text } of pages) t.match(text, /<h1>Connected<\/h1>/)
  t.equal(simulator.tokenCalls().length, 1)
})

t.test('a callback that reaches two processes at once shows the connection in both', async (t) => {
  const DATABASE_URL = `sqlite:${temporaryFolder(t)}/gateway.db`
  const first = await open(t, { env: { DATABASE_URL } })
  const { simulator } = first
  const second = await open(t, { simulator, env: { DATABASE_URL } })
  const query = { code: simulator.connect().code }
  simulator.failNext({ kind: 'slow', delayMs: 300, path: '/oauth/token' })

  const pages = await Promise.all([first.callback(query), second.callback(query)])

  for (const { text } of pages) t.match(text, /<h1>Connected<\/h1>/)
})

t.test('a callback that is opened again shows the current state of the connection, also after a restart', async (t) => {
  const DATABASE_URL = `sqlite:${temporaryFolder(t)}/gateway.db`
  const clock = createClock(Date.now())
  const first = await open(t, { now: clock.now, env: { DATABASE_URL } })
  const { simulator } = first
  const query = { code: simulator.connect().code }
  await first.callback(query)
  await first.close()
  const { callback, vault } = await open(t, { simulator, now: clock.now, env: { DATABASE_URL } })

  const connected = await callback(query)
  clock.move(1_000)
  await vault.markUninstalled(LOCATION, 'removed', clock.now())
  const removed = await callback(query)

  t.match(connected.text, /<h1>Connected<\/h1>/)
  t.match(removed.text, /<h1>Not connected<\/h1>/)
  t.match(removed.text, /The app was removed/)
  t.match(removed.text, /href="http:\/\/localhost:3000\/oauth\/install"/)
})

t.test('a connection is shown only to whoever knows both its code and its state', async (t) => {
  const { simulator, callback, startInstall } = await open(t)
  const [code, state] = [simulator.connect().code, await startInstall()]
  await callback({ code, state })

  const others = [
    await callback({ code }),
    await callback({ code, state: await startInstall() }),
    await callback({ code: 'another', state }),
    await callback({ state })
  ]

  for (const { status, text } of others) {
    t.equal(status, 400)
    t.notMatch(text, SEED.locationId)
  }
})

t.test('a callback of a company’s install that is opened again shows the company', async (t) => {
  const { simulator, callback } = await open(t)
  const query = { code: simulator.connectCompany({ bulk: true }).code }

  await callback(query)
  const { text } = await callback(query)

  t.match(text, `Company ${SEED.companyId} is connected.`)
})

t.test('a cancelled install says so and links to a new install', async (t) => {
  const { callback, startInstall } = await open(t, { env: { PUBLIC_URL: 'https://gateway.example.com/base' } })

  const cancelled = await callback({ error: 'access_denied', state: await startInstall() })
  const other = await callback({ error: 'server_error' })

  t.equal(cancelled.status, 400)
  t.match(cancelled.text, /The install was cancelled in HighLevel/)
  for (const { text } of [cancelled, other])
    t.match(text, /<a href="https:\/\/gateway.example.com\/base\/oauth\/install">/)
  t.notMatch(other.text, /cancelled/)
})

t.test('an empty parameter counts as absent', async (t) => {
  const { simulator, callback } = await open(t)

  const connected = await callback({ code: simulator.connect().code, state: '', error: '' })
  const withoutCode = await callback({ code: '', state: '' })

  t.equal(connected.status, 200)
  t.match(withoutCode.text, /HighLevel sent no code/)
})

t.test('an install that lacks scopes names the calls that will fail', async (t) => {
  const { simulator, callback, call, key } = await open(t)
  simulator.limitScopes(SEED.locationId, ['objects/schema.readonly', 'objects/record.write'])
  const query = { code: simulator.connect().code }

  const pages = [await callback(query), await callback(query)]
  const read = await call(`/records/${SEED.schemaKey}/${SEED.recordId}?locationId=${SEED.locationId}`, { key })
  const whole = await callback({ code: simulator.connect(SEED.secondLocationId).code })

  for (const { text } of pages) {
    t.match(text, /<h1>Connected<\/h1>/)
    t.match(text, /objects\/record.readonly was not granted: GET \/records fails/)
    t.notMatch(text, /objects\/record.write/)
  }
  t.equal(read.json['code'], 'location-scope-missing')
  t.notMatch(whole.text, /not granted/)
})
