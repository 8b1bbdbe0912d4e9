import t, { type Test } from 'tap'
import { CHANGE, countOutcomes, PASS_THROUGH, patchAll, putRecords } from '../support/calls.ts'
import { startGateway, startSimulator, type TestGateway, until } from '../support/harness.ts'
import { NO_REDIS, redisAddress, redisUrl } from '../support/redis.ts'
import { startRedisProxy } from '../support/redis-proxy.ts'

const readiness = async ({ call }: TestGateway) => (await call('/readyz')).json['status']
const downs = ({ logged }: TestGateway) => logged().filter(({ msg }) => /^Redis does not answer/.test(String(msg)))

/** A gateway whose Redis a test can replace: `answer` answers all commands with a key that contains `part`. */
async function open(t: Test) {
  const address = await redisAddress()
  if (address === undefined) return undefined
  const proxy = await startRedisProxy(t, address)
  const simulator = await startSimulator(t)
  const env = { REDIS_URL: (await redisUrl(proxy.port)) ?? '', ...PASS_THROUGH }
  const gateway = await startGateway(t, { simulator, env })
  await until(async () => (await readiness(gateway)) === 'ready')
  const answer = (part: string, resp: string) =>
    proxy.set((command) => (command.some((word) => word.includes(part)) ? resp : undefined))
  return { gateway, simulator, answer, pass: () => proxy.set(() => undefined) }
}

function withProxy(
  guarantee: string,
  prove: (t: Test, opened: NonNullable<Awaited<ReturnType<typeof open>>>) => unknown
) {
  t.test(guarantee, { timeout: 20_000 }, async (t) => {
    const opened = await open(t)
    if (opened === undefined) t.pass('not run', { skip: NO_REDIS })
    else await prove(t, opened)
  })
}

const numbers = (...all: number[]) => `*${all.length}\r\n${all.map((n) => `:${n}\r\n`).join('')}`
const UNEXPECTED = {
  'an integer': ':7\r\n',
  nil: '_\r\n',
  'a null string': '$-1\r\n',
  'a null array': '*-1\r\n',
  'a string': '+OK\r\n',
  'an error': '-ERR something\r\n',
  'an empty list': '*0\r\n',
  'a list of strings': '*4\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n0\r\n',
  'a list of lists': '*4\r\n*0\r\n*0\r\n*0\r\n*0\r\n',
  'a list of three': numbers(1, 1, 1),
  'negative numbers': numbers(-1, -1, -1, -1),
  'more than requested': numbers(100_000, 100_000, 100_000, 0),
  'an endless wait': numbers(0, 100, 100, 2 ** 52)
}

/** A part of the keys of each script, and of the callers' counters. */
const KEYS = { permits: ':places', processes: 'rg:replicas', 'the queue for a record': ':queue', callers: 'rg:limit:' }

withProxy('whatever Redis answers for permits, no location freezes and no call fails', async (t, opened) => {
  const { gateway, simulator, answer, pass } = opened
  const paths = putRecords(simulator, 3)

  for (const [name, resp] of Object.entries(UNEXPECTED)) {
    await until(async () => (await readiness(gateway)) === 'ready')
    const before = downs(gateway).length
    answer(KEYS.permits, resp)
    t.strictSame(countOutcomes(await patchAll(gateway, paths)), { 200: 3 }, name)
    t.ok(downs(gateway).length > before, 'Redis counts as down')
    pass()
    t.strictSame(countOutcomes(await patchAll(gateway, paths)), { 200: 3 }, `after ${name}`)
  }
})

for (const [what, part] of Object.entries(KEYS)) {
  withProxy(`nil and integers for ${what} count as no answer`, async (t, { gateway, simulator, answer, pass }) => {
    const paths = putRecords(simulator, 3)

    for (const resp of ['_\r\n', ':-7\r\n', '*1\r\n_\r\n']) {
      await until(async () => (await readiness(gateway)) === 'ready')
      const before = downs(gateway).length
      answer(part, resp)
      t.strictSame(countOutcomes(await patchAll(gateway, paths)), { 200: 3 }, resp)
      const conditional = { headers: { 'if-match': '*' } }
      t.strictSame(countOutcomes(await patchAll(gateway, paths, conditional)), { 200: 3 }, `with a condition: ${resp}`)
      await until(() => downs(gateway).length > before)
      pass()
    }
  })
}

withProxy(
  'a Redis whose scripts give unexpected answers is down until they do not, with one warning',
  async (t, opened) => {
    const { gateway, answer, pass } = opened
    // A slow start may have brought a warning of its own.
    const before = downs(gateway).length
    answer('rg:', ':7\r\n')
    t.equal((await gateway.patch(CHANGE)).status, 200)
    // Long enough for several probes.
    await new Promise((resolve) => setTimeout(resolve, 1_200))

    t.equal((await gateway.patch(CHANGE)).status, 200)
    t.equal(await readiness(gateway), 'degraded')
    t.equal(downs(gateway).length, before + 1)
    pass()
    await until(async () => (await readiness(gateway)) === 'ready')
    t.equal((await gateway.patch(CHANGE)).status, 200)
  }
)
