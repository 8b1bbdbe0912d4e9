import t, { type Test } from 'tap'
import { SEED } from '../../simulator/seed.ts'
import { startGateway, startSimulator } from '../../support/harness.ts'

const CHANGE = { properties: { customer_number: 5 } }
const LOCATION = `location:${SEED.locationId}` as const

const tokensOf = (owner: object) => ({
  kind: 'status' as const,
  status: 200,
  body: { access_token: 'of-another', refresh_token: 'of-another-too', expires_in: 86_399, ...owner }
})

const mismatchedCount = async (metrics: () => Promise<string>) =>
  Number(/^gateway_foreign_answers_total (\d+)/m.exec(await metrics())?.[1])

const errorsIn = (lines: string[]) =>
  lines.map((line) => JSON.parse(line)).filter(({ level, msg }) => level === 50 && /another call/.test(msg))

async function open(t: Test, connected: boolean) {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator, connected })
  const metrics = async () => (await fetch(`${gateway.adminOrigin}/metrics`)).text()
  return { simulator, ...gateway, metrics }
}

t.test('a minted token of another location is not used', async (t) => {
  const { simulator, install, patch, vault, lines, metrics } = await open(t, false)
  await install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)
  simulator.failNext({ ...tokensOf({ locationId: 'another' }), path: '/oauth/locationToken' })

  const refused = await patch(CHANGE)

  t.match(refused, { status: 503, json: { applied: 'no' } })
  t.match(await vault.loadGrant(LOCATION), { tokens: null, state: 'backing-off', stateReason: /another call/ })
  t.equal(errorsIn(lines).length, 1)
  t.equal(await mismatchedCount(metrics), 1)
  t.equal(simulator.received({ method: 'PUT' }).length, 0)
})

t.test('refreshed tokens of another location are rejected, and the refresh is repeated', async (t) => {
  const { simulator, patch, vault, lines, metrics } = await open(t, true)
  simulator.expireTokens()
  simulator.failNext({ ...tokensOf({ locationId: 'another' }), path: '/oauth/token' })

  const reply = await patch(CHANGE)

  t.equal(reply.status, 200)
  const grant = await vault.loadGrant(LOCATION)
  t.match(grant, { generation: 2, state: 'connected' })
  t.not(grant?.tokens?.accessToken, 'of-another')
  t.equal(errorsIn(lines).length, 1)
  t.equal(await mismatchedCount(metrics), 1)
})

t.test('no two token calls share a connection', async (t) => {
  const { simulator, patch } = await open(t, true)
  simulator.expireTokens()
  await patch(CHANGE)
  const calls = simulator.received({ path: '/oauth/token' })
  t.equal(calls.length, 1)
  for (const { headers } of calls) t.equal(headers['connection'], 'close')
})
