import t, { type Test } from 'tap'
import { SEED } from './simulator/seed.ts'
import { countOutcomes, PASS_THROUGH, patchAll, putRecords } from './support/calls.ts'
import { startGateway, startSimulator, type TestGateway } from './support/harness.ts'
import { NO_REDIS, redisUrl } from './support/redis.ts'

// HighLevel's real limits on a real clock: 100 calls in ten seconds. Both tests run at the same time. The name of the
// file makes it run last, because other tests would slow down what it measures.
t.jobs = 2

const env = { REQUEST_DEADLINE_MS: '30000', ...PASS_THROUGH }
const MIN_MS = 20_000

type Open = (simulator: Awaited<ReturnType<typeof startSimulator>>) => Promise<TestGateway[]>

/** If Redis does not answer in time, because the machine is busy, processes count on their own and the test repeats. */
const MAX_TRIES = 3

async function send300Calls(t: Test, open: Open, tries = 1): Promise<void> {
  const simulator = await startSimulator(t)
  const gateways = await open(simulator)
  const paths = putRecords(simulator, 300)
  const share = paths.length / gateways.length
  const startedAt = performance.now()

  const replies = await Promise.all(
    gateways.map((gateway, n) => patchAll(gateway, paths.slice(n * share, (n + 1) * share)))
  )

  const ms = performance.now() - startedAt
  const hasLostRedis = gateways.some(({ logged }) =>
    logged().some(({ msg }) => /^Redis does not answer/.test(String(msg)))
  )
  if (hasLostRedis && tries < MAX_TRIES) {
    t.comment('Redis did not answer in time: trying again')
    return send300Calls(t, open, tries + 1)
  }
  t.comment(`${Math.round(ms)} ms, of which ${MIN_MS} ms are unavoidable`)
  t.strictSame(countOutcomes(replies.flat()), { 200: 300 })
  t.equal(simulator.received({ method: 'PUT' }).length, 300, 'no 429, and no retry')
  t.equal(simulator.countInWindow(SEED.locationId), 100)
  t.ok(ms >= MIN_MS && ms < MIN_MS * 1.1)
}

t.test('300 calls at once take just over two windows, and HighLevel rejects none', (t) =>
  send300Calls(t, async (simulator) => [await startGateway(t, { simulator, env })])
)

t.test('300 calls at once through two processes take just over two windows too', async (t) => {
  if ((await redisUrl()) === undefined) return t.pass('not run', { skip: NO_REDIS })
  return send300Calls(t, async (simulator) => {
    // A new key prefix for each try: calls of the last one would count in the next.
    const start = { simulator, env: { ...env, REDIS_URL: (await redisUrl()) ?? '' } }
    return [await startGateway(t, start), await startGateway(t, start)]
  })
})
