import { randomBytes } from 'node:crypto'
import type { Redis, Result } from 'ioredis'
import { isCount, type SharedRedis } from '../../shared/redis.ts'
import { REPLICAS, TAKE } from './redis-scripts.ts'

declare module 'ioredis' {
  interface RedisCommander<Context> {
    takePlaces(places: string, day: string, ...values: (string | number)[]): Result<unknown, Context>
    countReplicas(replicas: string, self: string, memoryMs: number): Result<unknown, Context>
  }
}

const BEAT_MS = 1_000
const REMEMBERED_MS = 10_000
/** What was settled is told with the next call, or after this share of a window: a place is not free before a whole one. */
const FLUSH_SHARE = 0.25
const MAX_FLUSH_MS = 1_000

/** What is asked for, on behalf of one location. */
export interface PermitRequest {
  want: number
  limit: number
  windowMs: number
  day: number
}

/** What was given. `names` are those of the given places; `waitMs` is for how long there is no further one, or 0. */
export interface GrantedPermits {
  names: readonly string[]
  used: number
  taken: number
  waitMs: number
}

/** What Redis is yet to be told of a place. */
interface Settled {
  name: string
  /** On the clock of `performance.now()`. */
  at: number
  /** Its call was answered; or HighLevel never counted it; or it was taken without Redis and has no answer yet. */
  became: 'counted' | 'uncounted' | 'held'
}

const HELD = -2
const UNCOUNTED = -1

type When = Pick<PermitRequest, 'windowMs' | 'day'>

interface Unsettled extends When {
  settled: Settled[]
}

type Given = [given: number, used: number, taken: number, waitMs: number]

/** Whether an answer can be one to a request. `taken` may be below zero: of a day that Redis has forgotten meanwhile. */
const isGiven =
  ({ want, windowMs }: Pick<PermitRequest, 'want' | 'windowMs'>) =>
  (answer: unknown): answer is Given => {
    if (!Array.isArray(answer) || answer.length !== 4) return false
    const [given, used, taken, waitMs] = answer
    const isPossible = isCount(given) && isCount(used) && Number.isSafeInteger(taken) && isCount(waitMs)
    return isPossible && given <= want && given <= used && waitMs <= windowMs
  }

/** How many processes there are, this one included. */
function countReplicas({ client, attempt }: SharedRedis, self: string) {
  client.defineCommand('countReplicas', { numberOfKeys: 1, lua: REPLICAS })
  let count = 1
  const ask = () => client.countReplicas('rg:replicas', self, REMEMBERED_MS)
  const beat = async () => {
    count = (await attempt(ask, isCount)) ?? count
  }
  void beat()
  const beats = setInterval(() => void beat(), BEAT_MS).unref()
  return { count: () => Math.max(1, count), close: () => clearInterval(beats) }
}

/** The places of locations in Redis, shared by all processes: one round trip for a call, or for several that wait. */
export function createRedisWindow(redis: SharedRedis, holdMs: number) {
  const self = randomBytes(6).toString('base64url')
  const client: Redis = redis.client
  client.defineCommand('takePlaces', { numberOfKeys: 2, lua: TAKE })
  const unsettled = new Map<string, Unsettled>()
  let next = 0
  const replicas = countReplicas(redis, self)
  let timer: NodeJS.Timeout | undefined

  // The braces keep a location's keys together where Redis is a cluster.
  const send = (locationId: string, { want, limit, windowMs, day }: PermitRequest, settled: readonly Settled[]) => {
    const first = next
    next += want
    const now = performance.now()
    const ageOf = ({ at, became }: Settled) =>
      became === 'counted' ? Math.floor(now - at) : became === 'held' ? HELD : UNCOUNTED
    const told = settled.flatMap((one) => [one.name, ageOf(one)])
    const keys = [`rg:{${locationId}}:places`, `rg:{${locationId}}:day:${day}`] as const
    return redis.attempt(
      () => client.takePlaces(...keys, windowMs, limit, want, holdMs, `${self}:`, first, ...told),
      isGiven({ want, windowMs })
    )
  }

  const unsettledOf = (locationId: string, { windowMs, day }: When): Unsettled => {
    const known = unsettled.get(locationId) ?? { settled: [], windowMs, day }
    unsettled.set(locationId, known)
    timer ??= setTimeout(() => void flush(), Math.min(MAX_FLUSH_MS, windowMs * FLUSH_SHARE)).unref()
    return known
  }

  /** Told in vain, and told again before what has become of the same places since: the last word counts. */
  const tellAgain = (locationId: string, told: readonly Settled[], when: When): void => {
    if (told.length === 0) return
    const known = unsettledOf(locationId, when)
    known.settled = [...told, ...known.settled]
  }

  const flush = async (): Promise<void> => {
    timer = undefined
    const due = [...unsettled]
    unsettled.clear()
    await Promise.all(
      due.map(async ([locationId, { settled, ...rest }]) => {
        if ((await send(locationId, { want: 0, limit: 0, ...rest }, settled)) !== undefined) return
        // What is still of use when Redis answers again is kept until then.
        const since = performance.now() - rest.windowMs - holdMs
        const told = settled.filter(({ at }) => at > since)
        tellAgain(locationId, told, rest)
      })
    )
  }

  return {
    isUp: redis.isUp,
    /** How many processes of the gateway there were when Redis last answered, this one included. */
    replicas: replicas.count,

    /** `undefined` where Redis does not answer. */
    async take(locationId: string, request: PermitRequest): Promise<GrantedPermits | undefined> {
      const settled = unsettled.get(locationId)?.settled ?? []
      unsettled.delete(locationId)
      const first = next
      const answer = await send(locationId, request, settled)
      const names = (count: number) => Array.from({ length: count }, (_, i) => `${self}:${first + i}`)
      if (answer === undefined) {
        // Redis may have given them, only too late, and may not have heard of the others.
        const at = performance.now()
        const lost = names(request.want).map((name) => ({ name, at, became: 'uncounted' as const }))
        tellAgain(locationId, [...settled, ...lost], request)
        return undefined
      }
      const [given, used, taken, waitMs] = answer
      return { names: names(given), used, taken, waitMs }
    },

    /** The name of a place that is taken without Redis, which is told of it as soon as it answers. */
    hold(locationId: string, when: When): string {
      const name = `${self}:${next++}`
      unsettledOf(locationId, when).settled.push({ name, at: performance.now(), became: 'held' })
      return name
    },

    /** The call that had this place was answered, or broke; `isCounted` where HighLevel may have counted it. */
    settle(locationId: string, name: string, isCounted: boolean, when: When): void {
      const became = isCounted ? 'counted' : 'uncounted'
      unsettledOf(locationId, when).settled.push({ name, at: performance.now(), became })
    },

    /** Tells Redis what it is yet to be told. */
    async close(): Promise<void> {
      replicas.close()
      clearTimeout(timer)
      await flush()
      clearTimeout(timer)
    }
  }
}

export type RedisWindow = ReturnType<typeof createRedisWindow>
