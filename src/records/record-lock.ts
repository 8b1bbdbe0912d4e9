import { randomBytes } from 'node:crypto'
import type { Result } from 'ioredis'
import { type CallContext, hasHungUp, onHangUp } from '../highlevel/call.ts'
import { closingProblem, hangUpProblem, pause } from '../highlevel/deadline.ts'
import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import { createKeyedMutex } from '../shared/keyed-mutex.ts'
import { isZeroOrOne, type SharedRedis } from '../shared/redis.ts'

/** Serializes the writes of each record within this process, first come, first served. */
export interface RecordMutex {
  /** Acquires the mutex if it is free. Whoever has acquired it must release it. */
  tryAcquire(record: string): boolean
  /** Rejects with a Problem at the deadline, when the caller hangs up, or on close. */
  acquire(record: string, context: CallContext): Promise<void>
  release(record: string): void
  /** Rejects all waiting calls. */
  close(): void
}

const deadlineExceeded = (blocker: string) =>
  new Problem('deadline-exceeded', `The deadline passed while ${blocker} were writing this record`)

/** At most `maxWaiting` calls wait for one record. */
export function createRecordMutex(maxWaiting: number, clock: Clock): RecordMutex {
  const mutex = createKeyedMutex()
  const waiting = new Set<(problem: Problem) => void>()
  let isClosed = false

  return {
    tryAcquire: mutex.tryAcquire,
    release: mutex.release,

    acquire(record, { deadlineAt, caller, callRecord }) {
      if (isClosed) throw closingProblem()
      if (mutex.waitingCount(record) >= maxWaiting) {
        throw new Problem('overloaded', 'Too many writes wait for this record', { retryAfterSeconds: 1 })
      }
      const startedAt = clock.monotonic()
      return new Promise((resolve, reject) => {
        const cleanUp = () => {
          clock.cancel(timer)
          off()
          waiting.delete(giveUp)
          callRecord.queueMs += clock.monotonic() - startedAt
        }
        const leaveQueue = mutex.enqueue(record, () => {
          cleanUp()
          resolve()
        })
        const giveUp = (problem: Problem) => {
          if (!leaveQueue()) return
          cleanUp()
          reject(problem)
        }
        const timer = clock.after(Math.max(1, deadlineAt - startedAt), () => giveUp(deadlineExceeded('earlier calls')))
        const off = onHangUp(caller, () => giveUp(hangUpProblem()))
        waiting.add(giveUp)
        if (hasHungUp(caller)) giveUp(hangUpProblem())
      })
    },

    close() {
      isClosed = true
      for (const giveUp of waiting) giveUp(closingProblem())
    }
  }
}

declare module 'ioredis' {
  interface RedisCommander<Context> {
    joinRecordQueue(queue: string, ends: string, self: string, leaseMs: number): Result<unknown, Context>
    leaveRecordQueue(queue: string, ends: string, self: string): Result<unknown, Context>
  }
}

/** The lease outlives the deadline by this: nothing is sent later, but an earlier write may still arrive. */
const LEASE_MARGIN_MS = 1_000
/** Polling starts fast, because only one writer of each process queues for a record, and slows down with the wait. */
const MIN_POLL_MS = 2
const MAX_POLL_MS = 50
const POLL_SHARE_OF_WAIT = 0.1
/** Until Redis has removed an entry, the next writer waits, in this process too. */
const LEAVE_RETRY_MS = 100
/** How long conditional writes wait for Redis: for them a late answer is better than none. */
const REDIS_WAIT_MS = 500

/** Joins the queue (once), drops expired entries from its head and returns 1 if this entry is first. */
const JOIN = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = tonumber(ARGV[2])
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  local last = tonumber(redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2] or 0)
  redis.call('ZADD', KEYS[1], last + 1, ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], now + lease)
end
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < lease then redis.call('PEXPIRE', key, lease) end
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
while first ~= ARGV[1] and tonumber(redis.call('HGET', KEYS[2], first) or 0) < now do
  redis.call('ZREM', KEYS[1], first)
  redis.call('HDEL', KEYS[2], first)
  first = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
end
return first == ARGV[1] and 1 or 0
`

const LEAVE = `
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])
`

type Release = () => void
const noop: Release = () => undefined

/**
 * Keeps processes that share a Redis from writing a record between another process's read and write of it. While Redis
 * does not answer, only the mutex of each process is left. A process that dies keeps its place until its lease expires.
 */
export interface RecordLock {
  /** Rejects with a Problem. `waitsForRedis`: wait longer for a Redis that does not answer. */
  acquire(record: string, context: CallContext, waitsForRedis: boolean): Promise<Release>
  /** Rejects all waiting calls. */
  close(): void
}

async function retryUntil(clock: Clock, until: number, task: () => Promise<unknown>): Promise<void> {
  while ((await task()) === undefined && clock.monotonic() < until) {
    await clock.sleep(LEAVE_RETRY_MS, { ref: false })
  }
}

export function createRecordLock(redis: SharedRedis | undefined, clock: Clock): RecordLock {
  const closing = new AbortController()
  redis?.client.defineCommand('joinRecordQueue', { numberOfKeys: 2, lua: JOIN })
  redis?.client.defineCommand('leaveRecordQueue', { numberOfKeys: 2, lua: LEAVE })

  return {
    async acquire(record, context, waitsForRedis) {
      if (redis === undefined) return noop
      const { client, run, runWithin } = redis
      const keys = [`rg:{${record}}:queue`, `rg:{${record}}:ends`] as const
      const self = randomBytes(12).toString('base64url')
      const startedAt = clock.monotonic()
      const leaseUntil = context.deadlineAt + LEASE_MARGIN_MS
      let hasJoined = false
      const leave = () => client.leaveRecordQueue(...keys, self)
      const release = () => {
        if (hasJoined) void retryUntil(clock, leaseUntil, () => runWithin(REDIS_WAIT_MS, leave, isZeroOrOne))
      }
      const join = () => {
        hasJoined = true
        return client.joinRecordQueue(...keys, self, Math.max(1, Math.ceil(leaseUntil - clock.monotonic())))
      }
      try {
        for (;;) {
          const isFirst = await (waitsForRedis
            ? runWithin(Math.min(REDIS_WAIT_MS, context.deadlineAt - clock.monotonic()), join, isZeroOrOne)
            : run(join, isZeroOrOne))
          // 0 means that others are ahead. Without an answer, go on unlocked, but release: the entry may be queued.
          if (isFirst !== 0) return release
          const slowdown = (clock.monotonic() - startedAt) * POLL_SHARE_OF_WAIT
          const delayMs = Math.min(MAX_POLL_MS, MIN_POLL_MS + slowdown * (0.5 + Math.random()))
          if (clock.monotonic() + delayMs >= context.deadlineAt) throw deadlineExceeded('other processes')
          await pause(clock, delayMs, context, closing.signal)
        }
      } catch (problem) {
        release()
        throw problem
      } finally {
        context.callRecord.queueMs += clock.monotonic() - startedAt
      }
    },

    close: () => closing.abort()
  }
}
