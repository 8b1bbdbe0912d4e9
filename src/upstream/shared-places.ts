import { randomBytes } from 'node:crypto'
import type { Redis, Result } from 'ioredis'
import type { SharedRedis } from '../shared/redis.ts'

declare module 'ioredis' {
  interface RedisCommander<Context> {
    takePlaces(places: string, day: string, ...values: (string | number)[]): Result<number[], Context>
    countReplicas(replicas: string, self: string, memoryMs: number): Result<number, Context>
  }
}

/**
 * The places of one location that are in use, by the time at which HighLevel counted each at the latest, on the clock of
 * Redis. A place that is not yet answered stands at a time to come, so that it outlives a process that died with it.
 *
 * In: window, limit, how many are wanted, for how long a place is held at most, the prefix and first number of their
 * names; then places that were settled since, as name and age in milliseconds, or -1 for one that HighLevel never counted.
 * Out: how many were given, how many are in use, how many were given today, and for how long none is free, or 0.
 */
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window, limit, want, hold = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
for i = 7, #ARGV, 2 do
  local age = tonumber(ARGV[i + 1])
  if age < 0 then
    if redis.call('ZREM', KEYS[1], ARGV[i]) == 1 then redis.call('DECR', KEYS[2]) end
  else
    redis.call('ZADD', KEYS[1], 'XX', now - age, ARGV[i])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local used = redis.call('ZCARD', KEYS[1])
local given = math.max(0, math.min(want, limit - used))
for i = 0, given - 1 do
  redis.call('ZADD', KEYS[1], now + hold, ARGV[5] .. string.format('%d', ARGV[6] + i))
end
redis.call('PEXPIRE', KEYS[1], window + hold)
local taken
if given > 0 then
  taken = redis.call('INCRBY', KEYS[2], given)
  redis.call('PEXPIRE', KEYS[2], 172800000)
else
  taken = tonumber(redis.call('GET', KEYS[2]) or 0)
end
local wait = 0
if given < want then
  local at = redis.call('ZRANGE', KEYS[1], math.max(0, used - limit), math.max(0, used - limit), 'WITHSCORES')[2]
  wait = math.max(1, math.min(tonumber(at or now), now) + window - now)
end
return { given, used + given, taken, wait }
`

const REPLICAS = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
`

const BEAT_MS = 2_000
const REMEMBERED_MS = 10_000
/** What was settled is told with the next call, or after this share of a window: a place is not free before a whole one. */
const FLUSH_SHARE = 0.25
const MAX_FLUSH_MS = 1_000

/** What is asked for, on behalf of one location. */
export interface PlaceRequest {
  want: number
  limit: number
  windowMs: number
  day: number
}

/** What was given. `names` are those of the given places; `waitMs` is for how long there is no further one, or 0. */
export interface GivenPlaces {
  names: readonly string[]
  used: number
  taken: number
  waitMs: number
}

interface Unsettled extends Pick<PlaceRequest, 'windowMs' | 'day'> {
  /** Name and when it was answered, on the clock of `performance.now()`; `undefined` where HighLevel never counted it. */
  settled: [string, number | undefined][]
}

/** The places of locations in Redis, shared by all processes: one round trip for a call, or for several that wait. */
export function createSharedPlaces(redis: SharedRedis, holdMs: number) {
  const self = randomBytes(6).toString('base64url')
  const client: Redis = redis.client
  client.defineCommand('takePlaces', { numberOfKeys: 2, lua: TAKE })
  client.defineCommand('countReplicas', { numberOfKeys: 1, lua: REPLICAS })
  const unsettled = new Map<string, Unsettled>()
  let next = 0
  let replicas = 1
  let timer: NodeJS.Timeout | undefined

  // The braces keep a location's keys together where Redis is a cluster.
  const send = (locationId: string, { want, limit, windowMs, day }: PlaceRequest, settled: Unsettled['settled']) => {
    const first = next
    next += want
    const at = performance.now()
    const told = settled.flatMap(([name, when]) => [name, when === undefined ? -1 : Math.floor(at - when)])
    const keys = [`rg:{${locationId}}:places`, `rg:{${locationId}}:day:${day}`] as const
    return redis
      .attempt(() => client.takePlaces(...keys, windowMs, limit, want, holdMs, `${self}:`, first, ...told))
      .then((answer) => answer && { answer, first })
  }

  const flush = () => {
    timer = undefined
    const due = [...unsettled]
    unsettled.clear()
    for (const [locationId, { settled, ...rest }] of due) void send(locationId, { want: 0, limit: 0, ...rest }, settled)
  }

  const beat = async () => {
    replicas = (await redis.attempt(() => client.countReplicas('rg:replicas', self, REMEMBERED_MS))) ?? replicas
  }
  void beat()
  const beats = setInterval(() => void beat(), BEAT_MS).unref()

  return {
    isUp: redis.isUp,
    /** How many processes of the gateway there were when Redis last answered, this one included. */
    replicas: () => Math.max(1, replicas),

    /** `undefined` where Redis does not answer. */
    async take(locationId: string, request: PlaceRequest): Promise<GivenPlaces | undefined> {
      const settled = unsettled.get(locationId)?.settled ?? []
      unsettled.delete(locationId)
      const sent = await send(locationId, request, settled)
      if (sent === undefined) return undefined
      const [given = 0, used = 0, taken = 0, waitMs = 0] = sent.answer
      return { names: Array.from({ length: given }, (_, i) => `${self}:${sent.first + i}`), used, taken, waitMs }
    },

    /** The call that had this place was answered, or broke; `isCounted` where HighLevel may have counted it. */
    settle(
      locationId: string,
      name: string,
      isCounted: boolean,
      { windowMs, day }: Pick<PlaceRequest, 'windowMs' | 'day'>
    ): void {
      const known = unsettled.get(locationId) ?? { settled: [], windowMs, day }
      unsettled.set(locationId, known)
      known.settled.push([name, isCounted ? performance.now() : undefined])
      timer ??= setTimeout(flush, Math.min(MAX_FLUSH_MS, windowMs * FLUSH_SHARE)).unref()
    },

    close(): void {
      clearInterval(beats)
      clearTimeout(timer)
      flush()
    }
  }
}

export type SharedPlaces = ReturnType<typeof createSharedPlaces>
