import Database from 'better-sqlite3'
import t from 'tap'
import { SEED } from '../simulator/seed.ts'
import { createClock } from '../support/clock.ts'
import { RECORD, startGateway, startSimulator, until } from '../support/harness.ts'

const CHANGE = { properties: { customer_number: 5 } }
const second = RECORD.replace(SEED.locationId, SEED.secondLocationId).replace(SEED.recordId, SEED.secondRecordId)
const installLink = (
  { origin, clientId }: { origin: string; clientId: string },
  gatewayUrl = 'http://localhost:3000'
) =>
  `${origin}/v2/oauth/chooselocation?${new URLSearchParams({ response_type: 'code', redirect_uri: `${gatewayUrl}/oauth/callback`, client_id: clientId, version_id: clientId.split('-')[0] ?? '' })}`

t.test('an administrator connects a location in the browser, and then its records can be changed', async (t) => {
  const simulator = await startSimulator(t)
  const { call, patch } = await startGateway(t, {
    simulator,
    connected: false,
    env: { HIGHLEVEL_INSTALL_URL: installLink(simulator) }
  })
  const before = await patch(CHANGE)

  const start = await call('/oauth/install', { key: null })
  const consent = await fetch(start.headers.get('location') ?? '')
  const form = new URL(start.headers.get('location') ?? '').searchParams
  form.set('locationId', SEED.locationId)
  const chosen = await fetch(`${simulator.origin}/v2/oauth/choose`, { method: 'POST', body: form, redirect: 'manual' })
  const landing = new URL(chosen.headers.get('location') ?? '')
  const finish = await call(landing.pathname + landing.search, { key: null })

  t.equal(before.json['code'], 'location-not-connected')
  t.equal(start.status, 302)
  t.equal(consent.status, 200)
  t.equal(finish.status, 200)
  t.match(finish.headers.get('content-type'), /^text\/html/)
  t.match(finish.text, new RegExp(`Location ${SEED.locationId} is connected`))
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('the install link is built from the client id where none is configured', async (t) => {
  const simulator = await startSimulator(t)
  const { call, config } = await startGateway(t, { simulator, env: { PUBLIC_URL: 'https://gateway.example.com/' } })

  const { searchParams, origin, pathname } = new URL(
    (await call('/oauth/install', { key: null })).headers.get('location') ?? ''
  )

  t.equal(origin + pathname, 'https://marketplace.gohighlevel.com/v2/oauth/chooselocation')
  t.match(Object.fromEntries(searchParams), {
    response_type: 'code',
    redirect_uri: 'https://gateway.example.com/oauth/callback',
    client_id: simulator.clientId,
    version_id: simulator.clientId.split('-')[0] ?? '',
    scope: config.highLevel.scopes,
    state: /^[0-9a-z]+\.[\w-]+\.[\w-]+$/
  })
})

t.test('the code is exchanged in a form body with the same redirect URL as at the start', async (t) => {
  const simulator = await startSimulator(t)
  const { install } = await startGateway(t, { simulator, connected: false })

  await install(simulator.connect().code)

  const [exchange] = simulator.received({ path: '/oauth/token' })
  t.equal(exchange?.headers['content-type'], 'application/x-www-form-urlencoded')
  t.match(Object.fromEntries(new URLSearchParams(exchange?.body)), {
    grant_type: 'authorization_code',
    client_id: simulator.clientId,
    client_secret: simulator.clientSecret,
    redirect_uri: 'http://localhost:3000/oauth/callback'
  })
})

t.test('a forged or expired state is refused before the code is spent', async (t) => {
  const simulator = await startSimulator(t)
  const clock = createClock()
  const { call } = await startGateway(t, { simulator, connected: false, now: clock.now })
  const state =
    new URL((await call('/oauth/install', { key: null })).headers.get('location') ?? '').searchParams.get('state') ?? ''
  const finish = (state: string) =>
    call(`/oauth/callback?${new URLSearchParams({ code: simulator.connect().code, state })}`, { key: null })

  const forged = await finish(`${state.slice(0, -4)}AAAA`)
  const good = await finish(state)
  clock.move(15 * 60_000)
  const late = await finish(state)

  t.strictSame([forged.status, good.status, late.status], [400, 200, 400])
  t.match(forged.text, /invalid-request/)
  t.equal(simulator.tokenCalls().length, 1)
})

t.test('a failed install is a page that says so', async (t) => {
  const simulator = await startSimulator(t)
  const { call, install } = await startGateway(t, { simulator, connected: false })
  const cancelled = await call('/oauth/callback?error=access_denied', { key: null })
  const withoutCode = await call('/oauth/callback', { key: null })
  const spent = await install('no-such-code')
  simulator.failNext({
    kind: 'status',
    status: 401,
    body: { error: 'UnAuthorized!', error_description: 'Invalid client credentials!' },
    path: '/oauth/token'
  })
  const refused = await install(simulator.connect().code)
  simulator.failNext({ kind: 'status', status: 200, body: { nothing: true }, path: '/oauth/token' })
  const unreadable = await install(simulator.connect().code)
  const markup = await call('/oauth/callback?error=%3Cscript%3E', { key: null })

  t.strictSame(
    [cancelled, withoutCode, spent, refused, unreadable].map(({ status }) => status),
    [400, 400, 400, 503, 502]
  )
  for (const { headers, text } of [cancelled, withoutCode, spent, refused, unreadable]) {
    t.match(headers.get('content-type'), /^text\/html/)
    t.match(headers.get('content-security-policy'), /default-src 'none'/)
    t.match(text, /<h1>Not connected<\/h1>/)
  }
  t.notMatch(markup.text, /<script>/)
})

t.test('when the vault is down an install is refused before its code is spent', async (t) => {
  const simulator = await startSimulator(t)
  const { install, vault } = await startGateway(t, { simulator, connected: false })
  await vault.close()

  const reply = await install(simulator.connect().code)

  t.equal(reply.status, 503)
  t.strictSame(simulator.tokenCalls(), [])
})

t.test(
  'an install of a company connects its approved locations, whose tokens are minted on their first calls',
  async (t) => {
    const simulator = await startSimulator(t)
    const { install, patch } = await startGateway(t, { simulator, connected: false })

    const page = await install(
      simulator.connectCompany({ approvedLocations: [SEED.locationId, SEED.secondLocationId] }).code
    )
    const replies = [await patch(CHANGE), await patch(CHANGE), await patch(CHANGE, {}, second)]

    t.match(page.text, new RegExp(`Company ${SEED.companyId} is connected`))
    t.strictSame(
      replies.map(({ status }) => status),
      [200, 200, 200]
    )
    t.equal(simulator.received({ path: '/oauth/locationToken' }).length, 2)
  }
)

t.test('a bulk install that lists no locations asks HighLevel for them', async (t) => {
  const simulator = await startSimulator(t)
  const { install, patch } = await startGateway(t, { simulator, connected: false })

  await install(simulator.connectCompany({ bulk: true }).code)

  t.equal((await patch(CHANGE, {}, second)).status, 200)
  // The second page brings nothing new and ends the listing.
  t.equal(simulator.received({ path: '/oauth/installedLocations' }).length, 2)
})

t.test('a location keeps its own tokens when its company is connected', async (t) => {
  const simulator = await startSimulator(t)
  const { install, patch, vault } = await startGateway(t, { simulator })

  await install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)

  t.equal((await patch(CHANGE)).status, 200)
  t.equal((await vault.loadGrant(`location:${SEED.locationId}`))?.kind, 'oauth')
  t.strictSame(simulator.received({ path: '/oauth/locationToken' }), [])
})

t.test('a new install reconnects a location whose grant had ended, at once', async (t) => {
  const simulator = await startSimulator(t)
  const { install, patch } = await startGateway(t, { simulator })
  simulator.revokeGrants()
  const lost = await patch(CHANGE)

  await install(simulator.connect().code)

  t.equal(lost.json['code'], 'location-reconnect-required')
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('without client credentials there are no install routes, and no connect link', async (t) => {
  const { call, patch } = await startGateway(t)

  const [install, reply] = [await call('/oauth/install'), await patch(CHANGE)]

  t.equal(install.json['code'], 'route-not-found')
  t.equal(reply.json['code'], 'location-not-connected')
  t.notOk('connectUrl' in reply.json)
})

t.test('a company stays connected when HighLevel cannot list its locations, and the page says so', async (t) => {
  const simulator = await startSimulator(t)
  const { install, vault } = await startGateway(t, { simulator, connected: false })
  simulator.failNext({ kind: 'status', status: 503, path: '/oauth/installedLocations' })

  const page = await install(simulator.connectCompany({ bulk: true }).code)

  t.equal(page.status, 200)
  t.match(page.text, /lists no locations for it yet/)
  t.match(await vault.loadGrant(`company:${SEED.companyId}`), { state: 'connected' })
})

t.test('when a company’s grant has ended, each of its locations has to be reconnected', async (t) => {
  const simulator = await startSimulator(t)
  const { install, patch } = await startGateway(t, { simulator, connected: false })
  await install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)
  simulator.revokeGrants()

  const reply = await patch(CHANGE)

  t.match(reply.json, { status: 409, code: 'location-reconnect-required', connectUrl: String })
})

t.test('a company token that HighLevel refuses during a mint is renewed once', async (t) => {
  const simulator = await startSimulator(t)
  const { install, patch } = await startGateway(t, { simulator, connected: false })
  await install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)
  simulator.expireTokens()

  const reply = await patch(CHANGE)

  t.equal(reply.status, 200)
  t.equal(simulator.received({ path: '/oauth/locationToken' }).length, 2)
})

t.test('a location of a company from which the app was removed has to be reconnected', async (t) => {
  const simulator = await startSimulator(t)
  const { install, patch } = await startGateway(t, { simulator, connected: false })
  await install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)
  simulator.uninstall(SEED.locationId)

  const reply = await patch(CHANGE)

  t.match(reply.json, { status: 409, code: 'location-reconnect-required' })
})

t.test('a stored token that cannot be decrypted requires a reconnect, and a new install repairs it', async (t) => {
  const simulator = await startSimulator(t)
  const { install, patch, config } = await startGateway(t, { simulator })
  const database = new Database(config.vault.url.slice('sqlite:'.length))
  database.prepare('update grants set sealed = ?').run('k1.AAAA')
  database.close()

  const undecryptable = await patch(CHANGE)
  const page = await install(simulator.connect().code)

  t.match(undecryptable.json, { status: 409, code: 'location-reconnect-required' })
  t.equal(page.status, 200)
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('a HEAD request to the callback spends no code', async (t) => {
  const simulator = await startSimulator(t)
  const { call, install } = await startGateway(t, { simulator, connected: false })
  const { code } = simulator.connect()

  const head = await call(`/oauth/callback?code=${code}`, { method: 'HEAD', key: null })

  t.equal(head.status, 405)
  t.equal((await install(code)).status, 200)
})

t.test(
  'locations that cannot be listed at the install of their company are connected as soon as they can be',
  async (t) => {
    const simulator = await startSimulator(t)
    const { install, vault, patch } = await startGateway(t, { simulator, connected: false })
    simulator.failNext({ kind: 'status', status: 503, path: '/oauth/installedLocations', times: 2 })

    const page = await install(simulator.connectCompany({ bulk: true }).code)
    await until(async () => (await vault.loadGrant(`location:${SEED.secondLocationId}`)) !== undefined)

    t.match(page.text, /lists no locations for it yet/)
    t.equal((await patch(CHANGE, {}, second)).status, 200)
  }
)
