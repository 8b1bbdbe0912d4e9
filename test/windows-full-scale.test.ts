import t, { type Test } from 'tap'
import { SEED } from './simulator/seed.ts'
import { countOutcomes, PASS_THROUGH, patchAll, putRecords } from './support/calls.ts'
import { startGateway, startSimulator, type TestGateway } from './support/harness.ts'
import { NO_REDIS, redisUrl } from './support/redis.ts'

// HighLevel's own figures on a real clock: 100 calls in ten seconds. The two take their time beside each other, and the
// file comes last by its name: other tests beside it would take the time that it measures.
t.jobs = 2

const env = { REQUEST_DEADLINE_MS: '30000', ...PASS_THROUGH }
const IDEAL_MS = 20_000

type Open = (simulator: Awaited<ReturnType<typeof startSimulator>>) => Promise<TestGateway[]>

/** Where a machine is so busy that Redis does not answer in time, processes count by themselves: that proves nothing. */
const MAX_TRIES = 3

async function prove(t: Test, open: Open, tries = 1): Promise<void> {
  const simulator = await startSimulator(t)
  const gateways = await open(simulator)
  const paths = putRecords(simulator, 300)
  const share = paths.length / gateways.length
  const startedAt = performance.now()

  const replies = await Promise.all(
    gateways.map((gateway, n) => patchAll(gateway, paths.slice(n * share, (n + 1) * share)))
  )

  const ms = performance.now() - startedAt
  const isAlone = gateways.some(({ logged }) => logged().some(({ msg }) => /^Redis does not answer/.test(String(msg))))
  if (isAlone && tries < MAX_TRIES) {
    t.comment('Redis did not answer in time: once more')
    return prove(t, open, tries + 1)
  }
  t.comment(`${Math.round(ms)} ms, of which ${IDEAL_MS} ms cannot be saved`)
  t.strictSame(countOutcomes(replies.flat()), { 200: 300 })
  t.equal(simulator.received({ method: 'PUT' }).length, 300, 'no 429, and no repeat')
  t.equal(simulator.countInWindow(SEED.locationId), 100)
  t.ok(ms >= IDEAL_MS && ms < IDEAL_MS * 1.1)
}

t.test('300 calls at once take the two windows that they must, and HighLevel refuses none', (t) =>
  prove(t, async (simulator) => [await startGateway(t, { simulator, env })])
)

t.test('300 calls at once through two processes do the same', async (t) => {
  if ((await redisUrl()) === undefined) return t.pass('not run', { skip: NO_REDIS })
  return prove(t, async (simulator) => {
    // Keys of its own for each try: what one has used would count in the next.
    const start = { simulator, env: { ...env, REDIS_URL: (await redisUrl()) ?? '' } }
    return [await startGateway(t, start), await startGateway(t, start)]
  })
})
