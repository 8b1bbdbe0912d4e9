import { pino } from 'pino'
import { createRedisWindow } from '../../../src/highlevel/quota/redis-window.ts'
import { systemClock } from '../../../src/shared/clock.ts'
import { openRedis } from '../../../src/shared/redis.ts'
import { until } from '../../support/harness.ts'
import { redisUrl, withRedis } from '../../support/redis.ts'
import { startRedisProxy } from '../../support/redis-proxy.ts'

const HOLD_MS = 60_000
const WHEN = { windowMs: 1_000, day: 1 }

withRedis('a permit that was released while Redis failed is not reported as taken again', async (t, url) => {
  const { hostname, port } = new URL(url)
  const proxy = await startRedisProxy(t, { host: hostname, port: Number(port || 6_379) })
  const redis = await openRedis((await redisUrl(proxy.port)) ?? '', pino({ level: 'silent' }), systemClock)
  const redisWindow = createRedisWindow(redis, HOLD_MS, systemClock)
  t.teardown(async () => {
    await redisWindow.close()
    await redis.close()
  })
  await until(redis.isUp)
  const id = redisWindow.addLocal('a', WHEN)
  let isRefused = false
  proxy.set((command) => {
    if (!command.includes(id)) return undefined
    if (!isRefused) redisWindow.release('a', id, false, WHEN)
    isRefused = true
    return '-ERR something\r\n'
  })
  await until(() => isRefused && !redis.isUp())

  proxy.set(() => undefined)
  await until(redis.isUp)
  const granted = await redisWindow.acquire('a', { ...WHEN, want: 1, limit: 10 })

  t.match(granted, { windowUsed: 1, dayUsed: 1 }, 'no other permit is in use, and none was granted today')
})
