import type { BaseLogger } from 'pino'
import type { Clock } from '../shared/clock.ts'
import type { SharedRedis } from '../shared/redis.ts'
import { bearer, type TokenSource } from './bearer.ts'
import { createBreaker, type Scope } from './breaker/breaker.ts'
import { pipeline } from './call.ts'
import { createHighLevelClient } from './client.ts'
import { openConnectionPool } from './connection-pool.ts'
import type { QuotaLimits } from './quota/limits.ts'
import { createQuota } from './quota/quota.ts'
import { createRedisWindow } from './quota/redis-window.ts'
import { createRetry, type RetryReason } from './retry.ts'
import { createTransport, type Wire } from './transport.ts'

interface Options {
  wire: Wire
  /** How many connections may be open. */
  connections: number
  /** For one attempt. */
  timeoutMs: number
  tokens: TokenSource
  limits: QuotaLimits
  queueMax: number
  redis: SharedRedis | undefined
  clock: Clock
  log: BaseLogger
  /** Called with the path when an answer belongs to another call. */
  onMismatchedAnswer: (path: string) => void
  metrics: {
    countRetry: (reason: RetryReason) => void
    countRefusal: () => void
    countLow: (share: number) => void
    countCircuit: (scope: Scope, state: string) => void
  }
}

/** A permit in Redis outlives the longest attempt by this, if its process dies before it releases it. */
const HOLD_SLACK_MS = 1_000

/** The HighLevel client, with every layer between a use case and the wire. */
export function openHighLevel({
  wire,
  connections,
  timeoutMs,
  tokens,
  redis,
  clock,
  log,
  metrics,
  onMismatchedAnswer,
  ...rest
}: Options) {
  const sockets = openConnectionPool(wire.origin, connections, clock)
  const shared = redis && createRedisWindow(redis, timeoutMs + HOLD_SLACK_MS, clock)
  const breaker = createBreaker({ clock, log, onChange: metrics.countCircuit })
  const { countLow, countRefusal } = metrics
  const quota = createQuota({ ...rest, clock, shared, log, countLow, countRefusal, circuit: breaker })
  const closing = new AbortController()
  const retry = createRetry({ clock, count: metrics.countRetry, closing: closing.signal })
  const send = pipeline(
    // Each attempt passes all layers after `retry`. The permit comes last: a call that an open circuit refuses uses
    // none.
    [retry, bearer(tokens, clock), breaker.guard, quota.layer],
    createTransport(sockets, wire, { timeoutMs, clock, onMismatchedAnswer })
  )

  return {
    client: createHighLevelClient(send, tokens, clock),
    quota,
    circuit: breaker.state,
    /** How many processes share the limits, including this one. */
    replicas: () => shared?.replicas() ?? 1,

    /** Ends every call now: waiting calls are rejected, and calls on the wire are aborted. */
    async abortInFlight(): Promise<void> {
      closing.abort()
      quota.close()
      await sockets.destroy()
    },

    async close(): Promise<void> {
      await shared?.close()
    }
  }
}
