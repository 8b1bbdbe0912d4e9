import t from 'tap'
import { mintOptions } from '../grants/issued-grants.ts'
import { SEED } from '../simulator/seed.ts'
import { createClock } from '../support/clock.ts'
import { startGateway, startSimulator, until } from '../support/harness.ts'

const LOCATION = `location:${SEED.locationId}` as const

async function get(adminOrigin: string, path: string) {
  const reply = await fetch(adminOrigin + path)
  return { status: reply.status, json: (await reply.json()) as Record<string, unknown> }
}

t.test('the admin listener shows the state of each location, since when and why, and no token', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const gateway = await startGateway(t, { simulator, now: clock.now })
  const { vault, adminOrigin } = gateway
  const getLocation = () => get(adminOrigin, `/locations/${SEED.locationId}`)
  const states = [(await getLocation()).json]

  simulator.failNext({ kind: 'slow', delayMs: 400, path: '/oauth/token' })
  clock.move(21 * 3_600_000)
  await until(async () => (await vault.loadGrant(LOCATION))?.leaseOwner !== null)
  states.push((await getLocation()).json)
  await until(async () => (await vault.loadGrant(LOCATION))?.generation === 2)
  simulator.failNext({ kind: 'status', status: 503, path: '/oauth/token' })
  clock.move(21 * 3_600_000)
  await until(async () => (await vault.loadGrant(LOCATION))?.state === 'backing-off')
  states.push((await getLocation()).json)
  simulator.pause(SEED.locationId, true)
  clock.move(60_000)
  await until(async () => (await vault.loadGrant(LOCATION))?.state === 'paused')
  states.push((await getLocation()).json)
  simulator.revokeGrants()
  await until(async () => {
    clock.move(60_000)
    return (await vault.loadGrant(LOCATION))?.state === 'reconnect-required'
  })
  states.push((await getLocation()).json)
  await vault.markUninstalled(LOCATION, 'removed by an operator', clock.now())
  states.push((await getLocation()).json)

  t.strictSame(
    states.map(({ state }) => state),
    ['connected', 'renewing', 'backing-off', 'paused', 'reconnect-required', 'uninstalled']
  )
  for (const state of states) t.match(state, { id: SEED.locationId, since: /^2026-/, scopes: Array })
  t.match(states[2], { reason: /token endpoint/, failures: 1, nextRenewalAt: String })
  t.match(states[4], { reason: /invalid_grant/, nextRenewalAt: null })
  t.notMatch(JSON.stringify(states), /eyJ/)
})

t.test('the list of locations is paged and can be filtered by state', async (t) => {
  const gateway = await startGateway(t)
  const { vault, adminOrigin } = gateway
  for (let n = 0; n < 1_001; n += 1)
    await vault.addMintedLocation(`l${String(n).padStart(4, '0')}`, 'company1', n, mintOptions())
  await vault.markUninstalled('location:l0007', 'gone', 2_000)

  const first = (await get(adminOrigin, '/locations')).json as { locations: { id: string }[]; next: string }
  const second = (await get(adminOrigin, first.next)).json as { locations: { id: string }[] }
  const gone = (await get(adminOrigin, '/locations?state=uninstalled')).json

  t.strictSame([first.locations.length, first.locations[0]?.id, first.next], [1_000, 'l0000', '/locations?after=l0999'])
  t.match(second, { locations: [{ id: 'l1000' }] })
  t.notOk('next' in second)
  t.match(gone, { locations: [{ id: 'l0007', reason: 'gone' }] })
})

t.test('bad requests and an unavailable vault are answered with problems on the admin listener too', async (t) => {
  const { vault, adminOrigin, call } = await startGateway(t)

  const answers = [
    await get(adminOrigin, '/locations/nobody'),
    await get(adminOrigin, '/locations?state=lost'),
    await get(adminOrigin, '/locations/a%20b')
  ]
  await vault.close()
  answers.push(await get(adminOrigin, '/locations'), await get(adminOrigin, '/locations/one'))

  t.strictSame(
    answers.map(({ json }) => json['code']),
    ['location-not-connected', 'invalid-request', 'invalid-request', 'vault-unavailable', 'vault-unavailable']
  )
  t.equal((await call('/locations')).status, 404, 'the public listener has no such route')
})

t.test('metrics count grants by state and renewals by result, and are served without the vault too', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { vault, adminOrigin } = await startGateway(t, { simulator, now: clock.now })
  const metrics = async () => (await fetch(`${adminOrigin}/metrics`)).text()
  clock.move(21 * 3_600_000)
  await until(async () => (await vault.loadGrant(LOCATION))?.generation === 2)

  const before = await metrics()
  await vault.close()
  const after = await metrics()

  t.match(before, /gateway_grants\{state="connected"\} 1/)
  t.match(before, /gateway_renewal_overdue_seconds 0/)
  t.match(before, /gateway_token_renewals_total\{result="renewed"\} 1/)
  t.notMatch(before, SEED.locationId)
  t.match(after, /gateway_token_renewals_total\{result="renewed"\} 1/)
  t.notMatch(after, /gateway_grants\{/)
})
