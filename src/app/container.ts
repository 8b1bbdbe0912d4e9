import type { BaseLogger } from 'pino'
import { createOAuthClient, TOKEN_CALL_TIMEOUT_MS } from '../grants/oauth/oauth-client.ts'
import { openGrants } from '../grants/open-grants.ts'
import { openVault } from '../grants/vault/open.ts'
import { openConnectionPool } from '../highlevel/connection-pool.ts'
import { openHighLevel } from '../highlevel/open-highlevel.ts'
import { createTransport } from '../highlevel/transport.ts'
import { registerGauges } from '../observability/highlevel-metrics.ts'
import { createMetrics } from '../observability/metrics.ts'
import { createRecordLock, createRecordMutex } from '../records/record-lock.ts'
import { createSchemaCatalog } from '../schemas/schema-catalog.ts'
import type { Clock } from '../shared/clock.ts'
import { waitAtMost } from '../shared/timeout.ts'
import { version } from '../version.ts'
import type { Config } from './config.ts'
import { openFileLimit, shareConnections } from './open-file-limit.ts'

/** The last steps of closing get at least this long, even after the grace time: enough for a few database writes. */
const MIN_STEP_MS = 500

/**
 * Limits the schema cache, in characters of HighLevel's JSON. This many take 160 MB of memory: 5,000 objects with a
 * hundred fields each.
 */
const MAX_SCHEMA_CHARS = 75_000_000

const wireOptions = (config: Config) => ({
  origin: config.highLevel.apiUrl,
  apiVersion: config.highLevel.apiVersion,
  userAgent: `records-gateway/${version}`
})

/**
 * The client of HighLevel's OAuth endpoints. It has its own connections, so that a renewal never waits behind calls
 * that hang. No connection is used twice, so that no call can read an answer left over from another: tokens that reach
 * the wrong grant are lost.
 */
function openOAuth(config: Config, connections: number, clock: Clock, onMismatchedAnswer: (path: string) => void) {
  const { apiUrl, app } = config.highLevel
  if (app === undefined) return undefined
  const sockets = openConnectionPool(apiUrl, connections, clock, { keepAlive: false })
  const send = createTransport(sockets, wireOptions(config), {
    timeoutMs: TOKEN_CALL_TIMEOUT_MS,
    clock,
    onMismatchedAnswer
  })
  const redirectUri = `${config.publicServer.url}/oauth/callback`
  return {
    api: createOAuthClient(send, { ...app, redirectUri, clock, onMismatchedAnswer }),
    close: () => sockets.destroy()
  }
}

/** Imported on demand: without Redis the process starts sooner. */
const openRedis = async (url: string, log: BaseLogger, clock: Clock) =>
  (await import('../shared/redis.ts')).openRedis(url, log, clock)

/** Opens everything that has a lifetime: vault, Redis, connections, renewal worker. `close` closes it in order. */
export async function openContainer(config: Config, log: BaseLogger, clock: Clock) {
  const { queueMax, ...limits } = config.quota
  const connections = shareConnections(openFileLimit())
  const vault = await openVault(config.vault.url, config.vault.keys, { clock, log })
  const redis = config.redisUrl === undefined ? undefined : await openRedis(config.redisUrl, log, clock)
  const metrics = createMetrics({ countGrants: vault.countGrants, clock })
  const onMismatchedAnswer = (path: string) => {
    log.error({ path }, 'HighLevel’s answer belongs to another call')
    metrics.upstream.countMismatched()
  }
  const oauth = openOAuth(config, connections.oauth, clock, onMismatchedAnswer)
  const grants = openGrants({ vault, oauth: oauth?.api, clock, log, count: metrics.countRenewal })
  const upstream = openHighLevel({
    wire: wireOptions(config),
    connections: connections.upstream,
    timeoutMs: config.highLevel.timeoutMs,
    tokens: grants.tokens,
    limits,
    queueMax,
    redis,
    clock,
    log,
    onMismatchedAnswer,
    metrics: metrics.upstream
  })
  // As many writes of one record may wait for each other as could wait for the quota if each were of another record.
  const recordMutex = createRecordMutex(queueMax + limits.burstMax, clock)
  const recordLock = createRecordLock(redis, clock)
  const catalog = createSchemaCatalog({
    getObject: upstream.client.getObject,
    requireConnected: upstream.client.requireConnected,
    maxChars: MAX_SCHEMA_CHARS,
    clock,
    log,
    countRead: metrics.upstream.countSchemaRead
  })
  const inFlight = { calls: 0 }
  registerGauges(metrics.registry, () => ({
    callsInFlight: inFlight.calls,
    callsQueued: upstream.quota.waiting(),
    circuit: upstream.circuit(),
    redisIsUp: redis?.isUp()
  }))

  return {
    connections,
    vault,
    saves: grants.saves,
    leases: grants.leases,
    retryInBackground: grants.retryInBackground,
    tokens: grants.tokens,
    oauth: oauth?.api,
    metrics,
    redis,
    upstream,
    recordMutex,
    recordLock,
    catalog,
    /** The number of calls in flight. */
    inFlight,

    /** Starts no more background work, because the process will shut down. Calls go on. */
    drain: grants.stopWorker,

    /** Ends every call now: those that wait are rejected, those on the wire are aborted. */
    async abortInFlight(): Promise<void> {
      recordMutex.close()
      recordLock.close()
      await upstream.abortInFlight()
    },

    /**
     * Closes in order: calls in flight, Redis, renewals in progress (HighLevel has `withinMs` to answer them), pending
     * saves, the vault. Only pending saves may exceed the time: their tokens exist nowhere else.
     */
    async close(withinMs: number) {
      const endsAt = clock.monotonic() + withinMs
      const left = () => Math.max(endsAt - clock.monotonic(), MIN_STEP_MS)
      await upstream.abortInFlight()
      await upstream.close()
      await redis?.close()
      await grants.finishRenewals(withinMs)
      await oauth?.close()
      // The renewals that this aborted record their failure in the vault.
      await grants.finishRenewals(left())
      await grants.drain()
      await waitAtMost(clock, left(), vault.close)
    }
  }
}

export type Container = Awaited<ReturnType<typeof openContainer>>
