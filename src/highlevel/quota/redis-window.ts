import { randomBytes } from 'node:crypto'
import type { Redis, Result } from 'ioredis'
import type { Clock, Timer } from '../../shared/clock.ts'
import { isCount, type SharedRedis } from '../../shared/redis.ts'
import { ACQUIRE } from './redis-scripts.ts'
import { startReplicaCount } from './replicas.ts'

declare module 'ioredis' {
  interface RedisCommander<Context> {
    acquirePermits(permits: string, day: string, ...values: (string | number)[]): Result<unknown, Context>
  }
}

/** Updates go out with the next request, or after this share of a window: no permit expires before a whole window. */
const FLUSH_SHARE = 0.25
const MAX_FLUSH_MS = 1_000

/** A request for permits of one location. */
export interface PermitRequest {
  want: number
  limit: number
  windowMs: number
  day: number
}

/** The answer. `waitMs`: until there is another permit, or 0. */
export interface GrantedPermits {
  ids: readonly string[]
  /** Permits in use in the window, and granted today, by all processes, after this grant. */
  windowUsed: number
  dayUsed: number
  waitMs: number
}

/** A change of one permit that Redis does not know yet. */
interface Update {
  id: string
  /** On the monotonic clock. */
  at: number
  /**
   * `counted`: its call has ended, and HighLevel may have counted it. `uncounted`: HighLevel did not count it.
   * `held`: it was taken without Redis and its call has not ended.
   */
  state: 'counted' | 'uncounted' | 'held'
}

/** The age that stands for these states in the script. */
const HELD = -2
const UNCOUNTED = -1

type WindowAndDay = Pick<PermitRequest, 'windowMs' | 'day'>

interface PendingUpdates extends WindowAndDay {
  updates: Update[]
}

type Reply = [granted: number, windowUsed: number, dayUsed: number, waitMs: number]

/** Whether a reply can answer this request. `dayUsed` may be negative, of a day that Redis has lost meanwhile. */
const isReplyTo =
  ({ want, windowMs }: Pick<PermitRequest, 'want' | 'windowMs'>) =>
  (reply: unknown): reply is Reply => {
    if (!Array.isArray(reply) || reply.length !== 4) return false
    const [granted, windowUsed, dayUsed, waitMs] = reply
    const isPossible = isCount(granted) && isCount(windowUsed) && Number.isSafeInteger(dayUsed) && isCount(waitMs)
    return isPossible && granted <= want && granted <= windowUsed && waitMs <= windowMs
  }

/** The windows of locations in Redis, shared by all processes. One round trip grants permits for all waiting calls. */
export function createRedisWindow(redis: SharedRedis, holdMs: number, clock: Clock) {
  const self = randomBytes(6).toString('base64url')
  const client: Redis = redis.client
  client.defineCommand('acquirePermits', { numberOfKeys: 2, lua: ACQUIRE })
  const pending = new Map<string, PendingUpdates>()
  let nextId = 0
  const replicas = startReplicaCount(redis, self, clock)
  let flushTimer: Timer | undefined

  const send = (locationId: string, { want, limit, windowMs, day }: PermitRequest, updates: readonly Update[]) => {
    const firstId = nextId
    nextId += want
    const now = clock.monotonic()
    const ageOf = ({ at, state }: Update) =>
      state === 'counted' ? Math.floor(now - at) : state === 'held' ? HELD : UNCOUNTED
    const sent = updates.flatMap((update) => [update.id, ageOf(update)])
    // The braces keep a location's keys together in a Redis cluster.
    const keys = [`rg:{${locationId}}:places`, `rg:{${locationId}}:day:${day}`] as const
    return redis.run(
      () => client.acquirePermits(...keys, windowMs, limit, want, holdMs, `${self}:`, firstId, ...sent),
      isReplyTo({ want, windowMs })
    )
  }

  const pendingOf = (locationId: string, { windowMs, day }: WindowAndDay): PendingUpdates => {
    const own = pending.get(locationId) ?? { updates: [], windowMs, day }
    pending.set(locationId, own)
    flushTimer ??= clock.after(Math.min(MAX_FLUSH_MS, windowMs * FLUSH_SHARE), () => void flush()).unref()
    return own
  }

  /** Puts updates that failed back, ahead of newer ones of the same permits: the last one counts. */
  const putBack = (locationId: string, updates: readonly Update[], when: WindowAndDay): void => {
    if (updates.length === 0) return
    const own = pendingOf(locationId, when)
    own.updates = [...updates, ...own.updates]
  }

  const flush = async (): Promise<void> => {
    flushTimer = undefined
    const due = [...pending]
    pending.clear()
    await Promise.all(
      due.map(async ([locationId, { updates, ...when }]) => {
        if ((await send(locationId, { want: 0, limit: 0, ...when }, updates)) !== undefined) return
        // Older updates are of no use by the time Redis answers again.
        const since = clock.monotonic() - when.windowMs - holdMs
        putBack(
          locationId,
          updates.filter(({ at }) => at > since),
          when
        )
      })
    )
  }

  return {
    isUp: redis.isUp,
    /** How many processes there were when Redis last answered, this one included. */
    replicas: replicas.count,

    /** `undefined` when Redis does not answer. */
    async acquire(locationId: string, request: PermitRequest): Promise<GrantedPermits | undefined> {
      const updates = pending.get(locationId)?.updates ?? []
      pending.delete(locationId)
      const firstId = nextId
      const reply = await send(locationId, request, updates)
      const idsOf = (count: number) => Array.from({ length: count }, (_, i) => `${self}:${firstId + i}`)
      if (reply === undefined) {
        // Redis may have granted them too late, and may not have received the updates.
        const at = clock.monotonic()
        const lost = idsOf(request.want).map((id) => ({ id, at, state: 'uncounted' as const }))
        putBack(locationId, [...updates, ...lost], request)
        return undefined
      }
      const [granted, windowUsed, dayUsed, waitMs] = reply
      return { ids: idsOf(granted), windowUsed, dayUsed, waitMs }
    },

    /** The id of a permit that was taken without Redis. Redis learns of it as soon as it answers. */
    addLocal(locationId: string, when: WindowAndDay): string {
      const id = `${self}:${nextId++}`
      pendingOf(locationId, when).updates.push({ id, at: clock.monotonic(), state: 'held' })
      return id
    },

    /** The call with this permit has ended. `isCounted`: HighLevel may have counted it. */
    release(locationId: string, id: string, isCounted: boolean, when: WindowAndDay): void {
      const state = isCounted ? 'counted' : 'uncounted'
      pendingOf(locationId, when).updates.push({ id, at: clock.monotonic(), state })
    },

    /** Sends the pending updates. */
    async close(): Promise<void> {
      replicas.close()
      clock.cancel(flushTimer)
      await flush()
      clock.cancel(flushTimer)
    }
  }
}

export type RedisWindow = ReturnType<typeof createRedisWindow>
