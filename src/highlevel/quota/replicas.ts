import type { Result } from 'ioredis'
import type { Clock } from '../../shared/clock.ts'
import { isCount, type SharedRedis } from '../../shared/redis.ts'

declare module 'ioredis' {
  interface RedisCommander<Context> {
    countReplicas(replicas: string, self: string, ttlMs: number): Result<unknown, Context>
  }
}

const HEARTBEAT_MS = 1_000
/** A process that was not heard of for this long no longer counts as a replica. */
const REPLICA_TTL_MS = 10_000

/** Records this process, and returns how many were recorded in the last so many milliseconds. */
const REPLICAS = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
`

/** Counts the processes of the gateway, this one included. */
export function startReplicaCount({ client, run }: SharedRedis, self: string, clock: Clock) {
  client.defineCommand('countReplicas', { numberOfKeys: 1, lua: REPLICAS })
  let count = 1
  const ask = () => client.countReplicas('rg:replicas', self, REPLICA_TTL_MS)
  const heartbeat = async () => {
    count = (await run(ask, isCount)) ?? count
  }
  void heartbeat()
  const timer = clock.every(HEARTBEAT_MS, () => void heartbeat()).unref()
  return { count: () => Math.max(1, count), close: () => clock.cancel(timer) }
}
