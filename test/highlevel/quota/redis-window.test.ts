import { pino } from 'pino'
import { createRedisWindow } from '../../../src/highlevel/quota/redis-window.ts'
import { openRedis } from '../../../src/shared/redis.ts'
import { until } from '../../support/harness.ts'
import { redisUrl, withRedis } from '../../support/redis.ts'
import { startRedisProxy } from '../../support/redis-proxy.ts'

const HOLD_MS = 60_000
const WHEN = { windowMs: 1_000, day: 1 }

withRedis('a place that was given back while Redis failed is not told as taken again', async (t, url) => {
  const { hostname, port } = new URL(url)
  const proxy = await startRedisProxy(t, { host: hostname, port: Number(port || 6_379) })
  const redis = await openRedis((await redisUrl(proxy.port)) ?? '', pino({ level: 'silent' }))
  const places = createRedisWindow(redis, HOLD_MS)
  t.teardown(async () => {
    await places.close()
    await redis.close()
  })
  await until(redis.isUp)
  const name = places.hold('a', WHEN)
  let isRefused = false
  proxy.set((command) => {
    if (!command.includes(name)) return undefined
    if (!isRefused) places.settle('a', name, false, WHEN)
    isRefused = true
    return '-ERR something\r\n'
  })
  await until(() => isRefused && !redis.isUp())

  proxy.set(() => undefined)
  await until(redis.isUp)
  const given = await places.take('a', { ...WHEN, want: 1, limit: 10 })

  t.match(given, { used: 1, taken: 1 }, 'no other place is in use, nor was one given today')
})
