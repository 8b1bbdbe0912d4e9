import t, { type Test } from 'tap'
import { SEED } from '../../simulator/seed.ts'
import { createClock } from '../../support/clock.ts'
import { onEachDatabase } from '../../support/databases.ts'
import { startGateway, startSimulator, until } from '../../support/harness.ts'
import { install, issuedGrant, lease, ONE } from '../issued-grants.ts'

const CHANGE = { properties: { customer_number: 5 } }
const LOCATION = `location:${SEED.locationId}` as const
const HOUR = 3_600_000
const path = '/oauth/token'

/** A gateway whose clock is an hour ahead of HighLevel's until it is set back. */
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

/** A gateway whose token expired and failed to be renewed at a time that lies in the future after the clock is set back. */
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

t.test('a call renews a grant whose last failure lies in the future', async (t) => {
  const { patch } = await backingOffAhead(t)
  t.equal((await patch(CHANGE)).status, 200)
})

t.test('the renewal worker renews such a grant without a call', async (t) => {
  const { grant } = await backingOffAhead(t)
  await until(async () => (await grant())?.state === 'connected')
  t.match(await grant(), { generation: 2 })
})

t.test('a refused token is replaced even if it was issued in the future', async (t) => {
  const { simulator, patch, grant, setBack, clock, vault } = await openAhead(t)
  simulator.expireTokens()
  const body = { statusCode: 401, message: 'Invalid JWT' }
  // Reads of the object fail too: an accepted read would verify the token.
  simulator.failNext({ kind: 'status', status: 401, body, path: '/objects/', times: 4 })
  await patch(CHANGE)
  t.match(await grant(), { verified: false })
  setBack()
  simulator.clearFaults()
  simulator.expireToken((await vault.loadGrant(LOCATION))?.tokens?.accessToken ?? '')
  clock.move(1)

  t.equal((await patch(CHANGE)).status, 200)
})

onEachDatabase(t, 'a lease that ends later than any process could have set it does not count', async (t, database) => {
  const vault = await database.open()
  const now = 10 * HOUR
  await vault.installGrant(issuedGrant('a', { dueAt: now }), install(1))
  await vault.claimGrant(ONE, 1, lease('ahead', now + HOUR))

  t.match(await vault.claimGrant(ONE, 1, lease('me', now)), { leaseOwner: 'me' })
  t.equal(await vault.claimGrant(ONE, 1, lease('you', now)), undefined)
})

onEachDatabase(
  t,
  'grants that wait for a time set by a wrong clock are made due, and no others',
  async (t, database) => {
    const vault = await database.open()
    const now = 10 * HOUR
    await vault.installGrant(issuedGrant('a', { dueAt: now + 1 }), install(1))
    await vault.clearFutureTimes(now)
    t.match(await vault.loadGrant(ONE), { dueAt: now + 1 })

    // A valid lease by a clock that is slightly ahead is left alone, too.
    await vault.claimGrant(ONE, 1, lease('me', now + 5_000))
    await vault.clearFutureTimes(now)
    t.match(await vault.loadGrant(ONE), { leaseOwner: 'me', intentAt: now + 5_000 })

    const failure = { stateSince: now, stateReason: '', failures: 9, intentAt: null }
    const later = { ...failure, state: 'backing-off', dueAt: now + HOUR, triedAt: now + 5_000 } as const
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
  }
)
