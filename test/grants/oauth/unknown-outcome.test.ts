import t, { type Test } from 'tap'
import type { Fault } from '../../simulator/faults.ts'
import { SEED } from '../../simulator/seed.ts'
import { createClock } from '../../support/clock.ts'
import { startGateway, startSimulator, temporaryFolder, until } from '../../support/harness.ts'

const CHANGE = { properties: { customer_number: 5 } }
const LOCATION = `location:${SEED.locationId}` as const
const SECOND = 1_000
const path = '/oauth/token'
const outage: Fault = { kind: 'status', status: 503, body: 'no healthy upstream' }

/** After each of these HighLevel may have spent the refresh token, and no new tokens arrive. */
const unknownOutcomes: Fault[] = [
  { kind: 'status-after', status: 504, body: { message: 'Gateway Timeout' } },
  { kind: 'status-after', status: 302, headers: { location: '/login' } },
  { kind: 'status-after', status: 408, body: {} },
  {
    kind: 'status-after',
    status: 400,
    body: { error: 'invalid_grant', error_description: 'token request is already being processed' }
  },
  { kind: 'html' },
  { kind: 'reset-after' }
]

/** One location, any number of gateways on the same vault, and one clock for them and HighLevel. */
async function open(t: Test, gateways = 1) {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const env = { DATABASE_URL: `sqlite:${temporaryFolder(t)}/gateway.db` }
  const start = (connected: boolean) => startGateway(t, { simulator, env, now: clock.now, connected })
  const running = [await start(true)]
  while (running.length < gateways) running.push(await start(false))
  const [first] = running
  if (first === undefined) throw new Error('No gateway is running')
  let calls = 0

  return {
    clock,
    simulator,
    running,
    restart: async () => {
      await running.pop()?.close()
      running.push(await start(false))
    },
    grant: () => (running.at(-1) ?? first).vault.loadGrant(LOCATION),
    /** One call a second, by one gateway after another. Resolves with each call's status and problem code. */
    async callFor(seconds: number): Promise<string[]> {
      const outcomes: string[] = []
      for (let n = 0; n < seconds; n += 1) {
        clock.move(SECOND)
        calls += 1
        const { status, json } = await (running[calls % running.length] ?? first).patch(CHANGE)
        outcomes.push(status === 200 ? '200' : `${status} ${json['code']}`)
      }
      return outcomes
    },
    refreshes: () => simulator.tokenCalls().filter(({ grantType }) => grantType === 'refresh_token')
  }
}

for (const gateways of [1, 2]) {
  t.test(`an answer lost after a long outage is recovered within the grace (${gateways} gateways)`, async (t) => {
    const { simulator, callFor, grant } = await open(t, gateways)
    simulator.expireTokens()
    simulator.failNext({ ...outage, path, times: 1_000 })
    const during = await callFor(45)
    simulator.clearFaults()
    simulator.failNext({ kind: 'status-after', status: 504, body: { message: 'Gateway Timeout' }, path })
    const after = await callFor(40)

    t.strictSame(new Set([...during, ...after]), new Set(['503 upstream-unavailable', '200']))
    t.match(await grant(), { state: 'connected', generation: 2, intentAt: null })
    t.equal(after.at(-1), '200')
  })
}

t.test('a restarted process repeats the refresh by itself, without a call', async (t) => {
  const { simulator, clock, callFor, restart, grant, refreshes } = await open(t)
  simulator.expireTokens()
  simulator.failNext({ ...outage, path, times: 1_000 })
  await callFor(45)
  simulator.clearFaults()
  simulator.failNext({ kind: 'status-after', status: 504, body: {}, path })
  const before = refreshes().length
  while (refreshes().length === before) await callFor(1)

  await restart()
  clock.move(5 * SECOND)
  await until(async () => (await grant())?.generation === 2)

  t.match(await grant(), { state: 'connected', intentAt: null })
  t.equal(refreshes().length, before + 2)
})

t.test('every kind of unknown outcome is repeated within a few seconds', async (t) => {
  for (const fault of unknownOutcomes) {
    const { simulator, callFor, grant } = await open(t)
    simulator.expireTokens()
    simulator.failNext({ ...outage, path, times: 1_000 })
    await callFor(45)
    simulator.clearFaults()
    // As many attempts as one renewal makes at once.
    simulator.failNext({ ...fault, path, times: 3 })
    const after = await callFor(25)

    const what = JSON.stringify(fault)
    t.equal(after.at(-1), '200', what)
    t.match(await grant(), { state: 'connected', generation: 2 }, what)
  }
})

t.test('a status that is not a known refusal leaves the outcome unknown, even after refusals', async (t) => {
  for (const status of [405, 409, 423]) {
    const { simulator, callFor, grant } = await open(t)
    simulator.expireTokens()
    simulator.failNext({ kind: 'status', status: 403, body: { message: 'Forbidden resource' }, path, times: 1_000 })
    await callFor(60)
    simulator.clearFaults()
    simulator.failNext({ kind: 'status-after', status, body: { message: 'Conflict', statusCode: status }, path })
    const after = await callFor(75)

    t.match(await grant(), { state: 'connected', generation: 2 }, String(status))
    t.equal(after.at(-1), '200', String(status))
  }
})

t.test('rate limits between the repeats do not lose the tokens', async (t) => {
  const { simulator, callFor, grant } = await open(t)
  simulator.expireTokens()
  simulator.failNext({ kind: 'status-after', status: 504, body: {}, path })
  for (let n = 0; n < 4; n += 1)
    simulator.failNext({ kind: 'status', status: 429, body: { statusCode: 429, message: 'Too Many Requests' }, path })

  const outcomes = await callFor(28)

  t.equal(outcomes.at(-1), '200')
  t.match(await grant(), { state: 'connected', generation: 2 })
})

t.test('while the token endpoint is down, a grant is retried every few seconds and no more often', async (t) => {
  const { simulator, callFor, refreshes } = await open(t)
  simulator.expireTokens()
  simulator.failNext({ ...outage, path, times: 1_000 })

  await callFor(120)

  const sentAt = refreshes().map(({ at }) => at)
  const gaps = sentAt.slice(1).map((at, index) => at - (sentAt[index] ?? 0))
  t.ok(Math.max(...gaps) <= 5 * SECOND, `at most ${Math.max(...gaps)} ms between two refreshes`)
  t.ok(sentAt.length <= 60, `${sentAt.length} refreshes`)
})
