import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'
import { SEED } from '../simulator/seed.ts'
import { CHANGE, callAsOtherClient, countOutcomes, PASS_THROUGH, patchAll, putRecords } from '../support/calls.ts'
import { createClock } from '../support/clock.ts'
import { type Reply, startGateway, startSimulator, type TestGateway, until } from '../support/harness.ts'
import { startProxy } from '../support/proxy.ts'
import { redisAddress, redisUrl, withRedis } from '../support/redis.ts'

const WINDOW_MS = 1_000
const limits = (max: number) => ({
  LOCATION_BURST_MAX: String(max),
  LOCATION_BURST_WINDOW_MS: String(WINDOW_MS),
  ...PASS_THROUGH
})
const puts = { method: 'PUT' }

const readiness = async ({ call }: TestGateway) => (await call('/readyz')).json['status']

withRedis('two processes share one quota, and HighLevel rejects no call', async (t, REDIS_URL) => {
  const simulator = await startSimulator(t, { burstWindowMs: WINDOW_MS, burstMax: 20 })
  const open = () => startGateway(t, { simulator, env: { ...limits(20), REDIS_URL } })
  const [first, second] = [await open(), await open()]
  const paths = putRecords(simulator, 60)
  const startedAt = performance.now()

  const replies = await Promise.all([patchAll(first, paths.slice(0, 30)), patchAll(second, paths.slice(30))])

  t.strictSame(countOutcomes(replies.flat()), { 200: 60 })
  t.equal(simulator.received(puts).length, 60)
  t.equal(simulator.countInWindow(SEED.locationId), 20)
  t.ok(performance.now() - startedAt < 4 * WINDOW_MS, 'in three windows')
})

withRedis('a process that asks late is served along with another that is already waiting', async (t, REDIS_URL) => {
  const simulator = await startSimulator(t, { burstWindowMs: WINDOW_MS, burstMax: 20 })
  const open = () => startGateway(t, { simulator, env: { ...limits(20), REDIS_URL } })
  const [busy, late] = [await open(), await open()]
  const paths = putRecords(simulator, 90)
  let isFinished = false
  const many = patchAll(busy, paths.slice(0, 80)).then((replies) => {
    isFinished = true
    return replies
  })
  await until(() => simulator.received(puts).length === 20)

  const few = await patchAll(late, paths.slice(80))

  t.strictSame(countOutcomes(few), { 200: 10 })
  t.notOk(isFinished)
  t.strictSame(countOutcomes(await many), { 200: 80 })
})

withRedis('a caller’s limit counts across all processes', async (t, REDIS_URL) => {
  const simulator = await startSimulator(t)
  const open = () => startGateway(t, { simulator, env: { REDIS_URL, CALLER_RATE_MAX: '5' } })
  const [first, second] = [await open(), await open()]
  const paths = putRecords(simulator, 8)

  const replies = [await patchAll(first, paths.slice(0, 4)), await patchAll(second, paths.slice(4))].flat()

  t.strictSame(countOutcomes(replies), { 200: 5, '429 caller-rate-limited': 3 })
  t.match(replies[0]?.headers.get('ratelimit-policy'), /^"caller";q=5;w=60, "location-burst"/)
})

withRedis('a call costs at most two round trips to Redis', async (t, REDIS_URL) => {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator, env: { REDIS_URL } })
  const paths = putRecords(simulator, 51)
  await gateway.patch(CHANGE, {}, paths[50])
  const prefix = new URL(REDIS_URL).searchParams.get('keyPrefix') ?? ''
  const commands: string[] = []
  const address = await redisAddress()
  // Not ioredis' own monitor, which breaks if others send commands while it starts.
  const monitor = connect(address?.port ?? 0, address?.host, () => monitor.write('MONITOR\r\n'))
  t.teardown(() => monitor.destroy())
  createInterface(monitor).on('line', (line) => {
    if (line.includes(prefix) && !line.includes(' lua]')) commands.push(line)
  })
  await once(monitor, 'data')

  for (const path of paths.slice(0, 50)) await gateway.patch(CHANGE, {}, path)

  await until(() => commands.length >= 100)
  // Processes are counted from time to time, independent of calls.
  t.ok(commands.length <= 102, `${commands.length} commands for 50 calls`)
})

withRedis('while Redis does not answer, every call is served, and the log says so once each time', async (t) => {
  const address = await redisAddress()
  if (address === undefined) return
  const proxy = await startProxy(t, address)
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator, env: { REDIS_URL: (await redisUrl(proxy.port)) ?? '' } })
  const paths = putRecords(simulator, 60)
  await until(async () => (await readiness(gateway)) === 'ready')

  for (const mode of ['hang', 'cut'] as const) {
    proxy.set(mode)
    const replies = await patchAll(gateway, paths.slice(0, 30))
    t.strictSame(countOutcomes(replies), { 200: 30 }, mode)
    t.equal(await readiness(gateway), 'degraded')
    // Hanging connections are closed before new ones are opened.
    proxy.set('cut')
    proxy.set('pass')
    await until(async () => (await readiness(gateway)) === 'ready')
  }

  t.strictSame(countOutcomes(await patchAll(gateway, paths.slice(30))), { 200: 30 })
  const changes = gateway
    .logged()
    .map(({ msg, err }) => ({ state: /^Redis (answers|does not answer)/.exec(String(msg))?.[1], err }))
    .filter(({ state }) => state !== undefined)
  // A busy machine may add a change, but no state is ever logged twice in a row.
  const isRepeated = changes.some(({ state }, i) => state === changes[i - 1]?.state)
  t.notOk(isRepeated, 'each change is logged once', { changes })
  t.ok(changes.filter(({ state }) => state === 'does not answer').length >= 2, 'each outage is logged')
})

withRedis('a gateway that starts without Redis serves calls, and shares limits once Redis is there', async (t) => {
  const address = await redisAddress()
  if (address === undefined) return
  const proxy = await startProxy(t, address)
  proxy.set('cut')
  const simulator = await startSimulator(t)
  const env = { REDIS_URL: (await redisUrl(proxy.port)) ?? '', CALLER_RATE_MAX: '3', ...PASS_THROUGH }
  const gateway = await startGateway(t, { simulator, env })

  t.equal(await readiness(gateway), 'degraded')
  t.equal((await gateway.patch(CHANGE)).status, 200)
  proxy.set('pass')
  await until(async () => (await readiness(gateway)) === 'ready')
  t.equal((await gateway.patch(CHANGE)).status, 200)
  const client = new Redis(env.REDIS_URL)
  t.teardown(() => client.disconnect())
  await until(async () => (await client.zcard(`rg:{${SEED.locationId}}:places`)) === 2)
  t.pass('the call made without Redis is counted there too')
})

withRedis('while Redis is down each process stays within its share of a quota', async (t) => {
  const address = await redisAddress()
  if (address === undefined) return
  const proxy = await startProxy(t, address)
  const REDIS_URL = (await redisUrl(proxy.port)) ?? ''
  const simulator = await startSimulator(t, { burstWindowMs: WINDOW_MS, burstMax: 20 })
  const open = () => startGateway(t, { simulator, env: { ...limits(20), REDIS_URL } })
  const [first, second] = [await open(), await open()]
  const client = new Redis(REDIS_URL)
  t.teardown(() => client.disconnect())
  await until(async () => (await client.zcard('rg:replicas')) === 2)
  // Each process counts the processes every two seconds.
  await new Promise((resolve) => setTimeout(resolve, 2_200))
  const paths = putRecords(simulator, 60)

  proxy.set('hang')
  const replies = await Promise.all([patchAll(first, paths.slice(0, 30)), patchAll(second, paths.slice(30))])

  t.strictSame(countOutcomes(replies.flat()), { 200: 60 })
  t.equal(simulator.countInWindow(SEED.locationId), 20)
})

withRedis('a Redis that has lost its data gives nobody a second window', async (t, REDIS_URL) => {
  const simulator = await startSimulator(t, { burstWindowMs: 2_000, burstMax: 20 })
  const env = { ...limits(20), LOCATION_BURST_WINDOW_MS: '2000', REDIS_URL }
  const gateway = await startGateway(t, { simulator, env })
  const paths = putRecords(simulator, 40)
  await patchAll(gateway, paths.slice(0, 20))
  const client = new Redis(REDIS_URL)
  t.teardown(() => client.disconnect())
  await client.del(`rg:{${SEED.locationId}}:places`)

  t.strictSame(countOutcomes(await patchAll(gateway, paths.slice(20))), { 200: 20 })
  t.equal(simulator.countInWindow(SEED.locationId), 20)
})

withRedis('counts that Redis does not have yet are sent before shutdown', async (t, REDIS_URL) => {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator, env: { REDIS_URL, ...PASS_THROUGH } })
  await patchAll(gateway, putRecords(simulator, 5))
  await gateway.close()
  const client = new Redis(REDIS_URL)
  t.teardown(() => client.disconnect())

  const scores = (await client.zrange(`rg:{${SEED.locationId}}:places`, '0', '-1', 'WITHSCORES')).filter(
    (_, i) => i % 2 === 1
  )

  t.equal(scores.length, 5)
  t.ok(
    scores.every((score) => Number(score) <= Date.now() + 50),
    'none is in the future'
  )
})

withRedis('two processes both learn that a quota has shrunk', async (t, REDIS_URL) => {
  const simulator = await startSimulator(t, { burstWindowMs: WINDOW_MS, burstMax: 40 })
  const open = () => startGateway(t, { simulator, env: { ...limits(40), REDIS_URL } })
  const [first, second] = [await open(), await open()]
  const paths = putRecords(simulator, 160)
  const all = [patchAll(first, paths.slice(0, 80)), patchAll(second, paths.slice(80))]
  await until(() => simulator.received(puts).length >= 60)

  simulator.setBurst(10)

  t.strictSame(countOutcomes((await Promise.all(all)).flat()), { 200: 160 })
  const rejections = simulator.received(puts).length - 160
  t.ok(rejections <= 40, `${rejections} rejections, at most one window's`)
})

withRedis('after a rejection, two processes reserve nothing for other clients that are gone', async (t, REDIS_URL) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const open = () => startGateway(t, { simulator, env: { REDIS_URL, ...PASS_THROUGH } })
  const gateways = [await open(), await open()]
  const paths = putRecords(simulator, 60)
  await callAsOtherClient(simulator, 100)
  for (const gateway of gateways) {
    const refused = await gateway.patch(CHANGE, { headers: { 'x-request-timeout-ms': '500' } })
    t.equal(refused.json['code'], 'location-burst-exhausted')
  }

  clock.move(10_000)

  const options = { headers: { 'x-request-timeout-ms': '5000' } }
  const replies = await Promise.all(gateways.map((one, n) => patchAll(one, paths.slice(n * 30, n * 30 + 30), options)))
  t.strictSame(countOutcomes(replies.flat()), { 200: 60 })
})

withRedis('calls counted without Redis do not count twice when it is back', async (t) => {
  const address = await redisAddress()
  if (address === undefined) return
  const proxy = await startProxy(t, address)
  const env = { REDIS_URL: (await redisUrl(proxy.port)) ?? '', ...PASS_THROUGH }
  const simulator = await startSimulator(t)
  const gateways = [await startGateway(t, { simulator, env }), await startGateway(t, { simulator, env })]
  const paths = putRecords(simulator, 100)
  const soon = { headers: { 'x-request-timeout-ms': '2000' } }
  const send = async (count: number) =>
    countOutcomes((await Promise.all(gateways.map((one) => patchAll(one, paths.splice(0, count), soon)))).flat())
  const all = (status: string) =>
    until(async () => (await Promise.all(gateways.map(readiness))).every((one) => one === status))
  await all('ready')

  t.strictSame(await send(40), { 200: 80 })
  proxy.set('cut')
  await all('degraded')
  t.strictSame(await send(2), { 200: 4 })
  proxy.set('pass')
  await all('ready')

  t.strictSame(await send(6), { 200: 12 })
  t.equal(simulator.received(puts).length, 96, 'of 100, and HighLevel rejects none')
})

withRedis('no call fails while Redis comes and goes', async (t) => {
  const address = await redisAddress()
  if (address === undefined) return
  const proxy = await startProxy(t, address)
  const env = { REDIS_URL: (await redisUrl(proxy.port)) ?? '', ...PASS_THROUGH }
  const simulator = await startSimulator(t)
  const gateways = [await startGateway(t, { simulator, env }), await startGateway(t, { simulator, env })]
  const paths = putRecords(simulator, 80)
  const replies: Promise<Reply>[] = []

  for (let n = 0; n < 20; n += 1) {
    proxy.set(n % 2 === 0 ? 'cut' : 'pass')
    for (const gateway of [...gateways, ...gateways]) {
      replies.push(gateway.patch(CHANGE, { headers: { 'x-request-timeout-ms': '3000' } }, paths.shift()))
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  t.strictSame(countOutcomes(await Promise.all(replies)), { 200: 80 })
})

withRedis(
  'a Redis that has lost its counts does not make own calls look like those of other clients',
  async (t, REDIS_URL) => {
    const simulator = await startSimulator(t, { burstMax: 20 })
    const gateway = await startGateway(t, { simulator, env: { ...PASS_THROUGH, LOCATION_BURST_MAX: '20', REDIS_URL } })
    const prefix = new URL(REDIS_URL).searchParams.get('keyPrefix') ?? ''
    const client = new Redis(REDIS_URL)
    t.teardown(() => client.disconnect())
    const paths = putRecords(simulator, 20)
    const soon = { headers: { 'x-request-timeout-ms': '4000' } }

    t.strictSame(countOutcomes(await patchAll(gateway, paths.slice(0, 15))), { 200: 15 })
    simulator.failNext({ kind: 'slow', delayMs: 200, method: 'PUT' })
    const during = gateway.patch(CHANGE, {}, paths[15])
    await until(() => simulator.received(puts).length === 16)
    const keys = (await client.keys(`${prefix}rg:{*`)).map((key) => key.slice(prefix.length))
    t.equal(keys.length, 2)
    await client.del(...keys)

    t.strictSame(countOutcomes([await gateway.patch(CHANGE, soon, paths[16]), await during]), { 200: 2 })
    t.strictSame(countOutcomes(await patchAll(gateway, paths.slice(17), soon)), { 200: 3 })
    t.equal(simulator.countInWindow(SEED.locationId), 20)
  }
)
