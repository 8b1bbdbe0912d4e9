import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Pool } from 'undici'
import { CHANGE, putRecords } from '../support/calls.ts'
import { type GatewayProcess, openCluster } from '../support/gateway-process.ts'
import { startSimulator } from '../support/harness.ts'
import { NO_POSTGRES } from '../support/postgres.ts'
import { redisUrl } from '../support/redis.ts'

const RESTARTS = Number(process.env['RESTARTS'] ?? 3)
const RATE = 200

/** A small load balancer: round robin over the ready processes, probed every 100 ms, with keep-alive connections. */
function createBalancer() {
  const members = new Map<string, { pool: Pool; isReady: boolean }>()
  let next = 0

  const probe = async (): Promise<void> => {
    for (const member of members.values()) {
      const answer = await member.pool.request({ method: 'GET', path: '/readyz' }).catch(() => undefined)
      await answer?.body.dump()
      member.isReady = answer?.statusCode === 200
    }
  }
  let isClosed = false
  const probing = (async () => {
    while (!isClosed) {
      await probe()
      await sleep(100)
    }
  })()

  return {
    probe,
    add: (origin: string) => members.set(origin, { pool: new Pool(origin, { connections: 32 }), isReady: false }),
    async remove(origin: string) {
      await members.get(origin)?.pool.destroy()
      members.delete(origin)
    },
    async patch(path: string, key: string): Promise<number | string> {
      const ready = [...members.values()].filter(({ isReady }) => isReady)
      next += 1
      const member = ready[next % ready.length]
      if (member === undefined) return 'no process is ready'
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
      try {
        const answer = await member.pool.request({ method: 'PATCH', path, headers, body: JSON.stringify(CHANGE) })
        const text = await answer.body.text()
        return answer.statusCode === 200 ? 200 : text
      } catch (error) {
        return String(error)
      }
    },
    async close() {
      isClosed = true
      await probing
      for (const { pool } of members.values()) await pool.destroy()
    }
  }
}

t.test('a rolling restart under load fails no call', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 100_000 })
  const REDIS_URL = await redisUrl()
  const cluster = await openCluster(t, 'postgres', simulator, {
    LOCATION_BURST_MAX: '100000',
    SHUTDOWN_GRACE_MS: '3000',
    ...(REDIS_URL && { REDIS_URL })
  })
  if (cluster === undefined) {
    t.pass('not run', { skip: NO_POSTGRES })
    return
  }
  const balancer = createBalancer()
  t.teardown(() => balancer.close())
  const running: GatewayProcess[] = [await cluster.start(), await cluster.start()]
  await running[0]?.install(simulator.connect().code)
  for (const { origin } of running) balancer.add(origin)
  await balancer.probe()
  const paths = putRecords(simulator, 1_000)
  const outcomes: Promise<number | string>[] = []
  const timer = setInterval(() => {
    const path = paths[outcomes.length % paths.length] ?? ''
    outcomes.push(balancer.patch(path, cluster.key))
  }, 1_000 / RATE)

  for (let n = 0; n < RESTARTS; n += 1) {
    const old = running.shift()
    if (old === undefined) break
    const fresh = await cluster.start()
    running.push(fresh)
    balancer.add(fresh.origin)
    old.kill('SIGTERM')
    t.equal(await old.ended, 0)
    await balancer.remove(old.origin)
  }
  clearInterval(timer)

  const failed = (await Promise.all(outcomes)).filter((outcome) => outcome !== 200)
  t.comment(`${outcomes.length} calls over ${RESTARTS} restarts`)
  t.ok(outcomes.length > RESTARTS * 100)
  t.strictSame(failed, [])
})
