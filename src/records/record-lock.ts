import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Problem } from '../problems.ts'
import type { SharedRedis } from '../shared/redis.ts'
import type { CallContext } from '../upstream/call.ts'
import { pause } from '../upstream/deadline.ts'

/** The lock outlives its call by this: nothing is sent after the call's deadline, and what was sent before may still arrive. */
const SLACK_MS = 1_000
/** Only one writer of each process asks for a record at a time, so it may ask often. */
const LEAST_DELAY_MS = 3
const MAX_DELAY_MS = 20
const RELEASE_EVERY_MS = 500
/** For how long Redis is waited for: who asks for a condition would rather wait than have it not hold. */
const PATIENCE_MS = 500

const RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

/** What lets go of a record. */
export type Release = () => void

export interface RecordLock {
  /** Resolves when no other process writes the record on what it has read. Rejects with a Problem. */
  acquire(record: string, context: CallContext): Promise<Release>
  /** Whoever waits is told to go elsewhere. */
  close(): void
}

const free: Release = () => undefined

const late = () =>
  new Problem('deadline-exceeded', 'The time of the call ended while another process wrote this record')

/**
 * Keeps processes that share a Redis from writing a record between another's reading and writing of it. While Redis does
 * not answer, only the order within each process is left. A process that dies holds its record until its call would
 * have ended.
 */
export function createRecordLock(redis: SharedRedis | undefined): RecordLock {
  const closing = new AbortController()

  const release = async (shared: SharedRedis, key: string, token: string, until: number): Promise<void> => {
    while ((await shared.insist(PATIENCE_MS, () => shared.client.eval(RELEASE, 1, key, token))) === undefined) {
      if (performance.now() >= until) return
      await sleep(RELEASE_EVERY_MS, undefined, { ref: false })
    }
  }

  return {
    async acquire(record, context) {
      if (redis === undefined) return free
      const key = `rg:lock:{${record}}`
      const token = randomBytes(12).toString('base64url')
      const since = performance.now()
      const until = context.deadlineAt + SLACK_MS
      const take = () => redis.client.set(key, token, 'PX', Math.ceil(until - performance.now()), 'NX')
      try {
        for (;;) {
          const taken = await redis.insist(PATIENCE_MS, take)
          // Where the answer is late it may be taken all the same: it is let go of in either case.
          if (taken !== null) return () => void release(redis, key, token, until)
          const delay = LEAST_DELAY_MS + Math.random() * (MAX_DELAY_MS - LEAST_DELAY_MS)
          if (performance.now() + delay >= context.deadlineAt) throw late()
          await pause(delay, context, closing.signal)
        }
      } finally {
        context.trace.queueMs += performance.now() - since
      }
    },

    close: () => closing.abort()
  }
}
