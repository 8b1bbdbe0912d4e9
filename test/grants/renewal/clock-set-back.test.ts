import t, { type Test } from 'tap'
import { SEED } from '../../simulator/seed.ts'
import { createClock, startGateway, startSimulator, until } from '../../support/harness.ts'
import { onEachStore } from '../../support/stores.ts'
import { install, issuedGrant, lease, ONE } from '../issued-grants.ts'

const CHANGE = { properties: { customer_number: 5 } }
const LOCATION = `location:${SEED.locationId}` as const
const HOUR = 3_600_000
const path = '/oauth/token'

/** A gateway whose clock is an hour ahead of HighLevel's until it is set right. */
async function openAhead(t: Test) {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: createClock().now })
  clock.move(HOUR)
  const gateway = await startGateway(t, { simulator, now: clock.now })
  return {
    ...gateway,
    clock,
    simulator,
    setBack: () => clock.move(-HOUR),
    grant: () => gateway.vault.loadGrant(LOCATION)
  }
}

/** The token has ended and its renewal has failed, at a time that is in the future once the clock is set back. */
async function backingOffAhead(t: Test) {
  const ahead = await openAhead(t)
  const { simulator, patch, grant, setBack } = ahead
  simulator.expireTokens()
  simulator.failNext({ kind: 'status', status: 403, body: { message: 'Forbidden resource' }, path })
  await patch(CHANGE)
  t.match(await grant(), { state: 'backing-off' })
  setBack()
  return ahead
}

t.test('a call has a grant renewed that failed at a time that is not yet', async (t) => {
  const { patch } = await backingOffAhead(t)
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('the sweep does so without a call', async (t) => {
  const { grant } = await backingOffAhead(t)
  await until(async () => (await grant())?.state === 'connected')
  t.match(await grant(), { generation: 2 })
})

t.test('a token that was made at a time that is not yet is replaced when HighLevel takes it no more', async (t) => {
  const { simulator, patch, grant, setBack, clock, vault } = await openAhead(t)
  simulator.expireTokens()
  const body = { statusCode: 401, message: 'Invalid JWT' }
  // Of the object too: a read that HighLevel takes would prove the token.
  simulator.failNext({ kind: 'status', status: 401, body, path: '/objects/', times: 4 })
  await patch(CHANGE)
  t.match(await grant(), { verified: false })
  setBack()
  simulator.clearFaults()
  simulator.expireToken((await vault.loadGrant(LOCATION))?.tokens?.accessToken ?? '')
  clock.move(1)

  t.equal((await patch(CHANGE)).status, 200)
})

onEachStore(t, 'a lease that ends later than any process extends it is nobody’s', async (t, store) => {
  const vault = await store.open()
  const now = 10 * HOUR
  await vault.installGrant(issuedGrant('a', { dueAt: now }), install(1))
  await vault.claimGrant(ONE, 1, lease('ahead', now + HOUR))

  t.match(await vault.claimGrant(ONE, 1, lease('me', now)), { leaseOwner: 'me' })
  t.equal(await vault.claimGrant(ONE, 1, lease('you', now)), undefined)
})

onEachStore(t, 'what waits for a time that was never is made due, and nothing else is', async (t, store) => {
  const vault = await store.open()
  const now = 10 * HOUR
  await vault.installGrant(issuedGrant('a', { dueAt: now + 1 }), install(1))
  await vault.clearFutureTimes(now)
  t.match(await vault.loadGrant(ONE), { dueAt: now + 1 })

  // Nor is what runs as it should, by a clock that is a little ahead.
  await vault.claimGrant(ONE, 1, lease('me', now + 5_000))
  await vault.clearFutureTimes(now)
  t.match(await vault.loadGrant(ONE), { leaseOwner: 'me', intentAt: now + 5_000 })

  const setback = { stateSince: now, stateReason: '', failures: 9, intentAt: null }
  const later = { ...setback, state: 'backing-off', dueAt: now + HOUR, triedAt: now + 5_000 } as const
  await vault.recordFailure(ONE, 1, 'me', later)
  await vault.clearFutureTimes(now)
  t.match(await vault.loadGrant(ONE), { dueAt: now + HOUR })

  await vault.claimGrant(ONE, 1, lease('ahead', now + HOUR))
  t.equal(await vault.claimDue(lease('you', now)), undefined)
  await vault.clearFutureTimes(now)
  t.match(await vault.loadGrant(ONE), { leaseOwner: null, intentAt: now, dueAt: now })

  await vault.claimGrant(ONE, 1, lease('me', now))
  await vault.recordFailure(ONE, 1, 'me', { ...later, triedAt: now + HOUR, dueAt: now + 2 * HOUR })
  await vault.clearFutureTimes(now)
  t.match(await vault.claimDue(lease('you', now)), { leaseOwner: 'you' })
})
