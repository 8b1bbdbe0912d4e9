import { randomBytes } from 'node:crypto'
import type { Result } from 'ioredis'
import type { CallContext } from '../highlevel/call.ts'
import { pause } from '../highlevel/deadline.ts'
import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import { isZeroOrOne, type SharedRedis } from '../shared/redis.ts'

declare module 'ioredis' {
  interface RedisCommander<Context> {
    queueForRecord(queue: string, ends: string, self: string, leaseMs: number): Result<unknown, Context>
    leaveRecord(queue: string, ends: string, self: string): Result<unknown, Context>
  }
}

/**
 * A place in the queue outlives its call by this: nothing is sent after the call's deadline, but what was sent before
 * may still arrive.
 */
const SLACK_MS = 1_000
/** Only one writer of each process queues for a record at a time, so it may ask often at first. */
const LEAST_DELAY_MS = 2
const MAX_DELAY_MS = 50
/** Who has waited for long need not ask as often. */
const DELAY_SHARE = 0.1
/** Until Redis is told, the next writer waits, in this process too. */
const LEAVE_EVERY_MS = 100
/** For how long Redis is waited for by who asks for a condition, and would rather wait than have it not hold. */
const PATIENCE_MS = 500

/**
 * Joins the queue, drops those at its head whose time is over, and tells whether it is one's turn. First come, first
 * served.
 */
const QUEUE = `
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

/** What lets the next one have its turn. */
export type Release = () => void

export interface RecordLock {
  /**
   * Resolves when no other process writes the record on what it has read. Rejects with a Problem. `isPatient` where it
   * is worth a wait for a Redis that does not answer.
   */
  acquire(record: string, context: CallContext, isPatient: boolean): Promise<Release>
  /** Whoever waits is told to go elsewhere. */
  close(): void
}

const free: Release = () => undefined

const late = () =>
  new Problem('deadline-exceeded', 'The time of the call ended while other processes wrote this record')

/** Until it is told of, a place is taken: it is told again where Redis was not to be had. */
async function repeat(clock: Clock, until: number, tell: () => Promise<unknown>): Promise<void> {
  while ((await tell()) === undefined && clock.monotonic() < until) {
    await clock.sleep(LEAVE_EVERY_MS, { ref: false })
  }
}

/**
 * Keeps processes that share a Redis from writing a record between another's reading and writing of it. While Redis
 * does not answer, only the order within each process is left. A process that dies keeps its place until its call would
 * have ended.
 */
export function createRecordLock(redis: SharedRedis | undefined, clock: Clock): RecordLock {
  const closing = new AbortController()
  redis?.client.defineCommand('queueForRecord', { numberOfKeys: 2, lua: QUEUE })
  redis?.client.defineCommand('leaveRecord', { numberOfKeys: 2, lua: LEAVE })

  return {
    async acquire(record, context, isPatient) {
      if (redis === undefined) return free
      const { client, run, runWithin } = redis
      const keys = [`rg:{${record}}:queue`, `rg:{${record}}:ends`] as const
      const self = randomBytes(12).toString('base64url')
      const since = clock.monotonic()
      const leaseMs = () => Math.max(1, Math.ceil(context.deadlineAt + SLACK_MS - clock.monotonic()))
      const until = context.deadlineAt + SLACK_MS
      let isAsked = false
      const leave = () => {
        if (isAsked)
          void repeat(clock, until, () => runWithin(PATIENCE_MS, () => client.leaveRecord(...keys, self), isZeroOrOne))
      }
      const queue = () => {
        isAsked = true
        return client.queueForRecord(...keys, self, leaseMs())
      }
      try {
        for (;;) {
          const leftMs = context.deadlineAt - clock.monotonic()
          const turn = await (isPatient
            ? runWithin(Math.min(PATIENCE_MS, leftMs), queue, isZeroOrOne)
            : run(queue, isZeroOrOne))
          // Where its answer is late it may be in the queue all the same: it leaves it in either case.
          if (turn !== 0) return leave
          const waited = (clock.monotonic() - since) * DELAY_SHARE
          const delay = Math.min(MAX_DELAY_MS, LEAST_DELAY_MS + waited * (0.5 + Math.random()))
          if (clock.monotonic() + delay >= context.deadlineAt) throw late()
          await pause(clock, delay, context, closing.signal)
        }
      } catch (problem) {
        leave()
        throw problem
      } finally {
        context.callRecord.queueMs += clock.monotonic() - since
      }
    },

    close: () => closing.abort()
  }
}
