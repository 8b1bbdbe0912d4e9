import type { BaseLogger } from 'pino'
import { createOAuthClient, TOKEN_CALL_TIMEOUT_MS } from '../grants/oauth/oauth-client.ts'
import { openGrants } from '../grants/open-grants.ts'
import { openVault } from '../grants/vault/open.ts'
import { openConnectionPool } from '../highlevel/connection-pool.ts'
import { openHighLevel } from '../highlevel/open-highlevel.ts'
import { createTransport } from '../highlevel/transport.ts'
import { registerGauges } from '../observability/highlevel-metrics.ts'
import { createMetrics } from '../observability/metrics.ts'
import { createRecordLock } from '../records/record-lock.ts'
import { createRecordMutex } from '../records/record-mutex.ts'
import { createCatalog } from '../schemas/catalog.ts'
import { waitAtMost } from '../shared/timeout.ts'
import { version } from '../version.ts'
import type { Config } from './config.ts'
import { openFileLimit, shareOpenFiles } from './open-files.ts'

/** What a store that answers takes to be told how things ended. */
const LAST_WORDS_MS = 500

/** Of all schemas that are held, as HighLevel sends them: 160 MB in memory, or 5,000 objects of a hundred fields. */
const MAX_SCHEMA_CHARS = 75_000_000

const wireOf = (config: Config) => ({
  origin: config.highLevel.apiUrl,
  apiVersion: config.highLevel.apiVersion,
  userAgent: `records-gateway/${version}`
})

/**
 * HighLevel's OAuth, on connections of its own: a renewal must not wait behind calls that hang. Each call has one to
 * itself, so that no answer can be left over for the next: a pair in the wrong hands is lost.
 */
function openOAuth(config: Config, connections: number, now: () => number, onMismatchedAnswer: (path: string) => void) {
  const { apiUrl, app } = config.highLevel
  if (app === undefined) return undefined
  const sockets = openConnectionPool(apiUrl, connections, { keepAlive: false })
  const send = createTransport(sockets, wireOf(config), TOKEN_CALL_TIMEOUT_MS, onMismatchedAnswer)
  const redirectUri = `${config.publicServer.url}/oauth/callback`
  return {
    api: createOAuthClient(send, { ...app, redirectUri, now, onMismatchedAnswer }),
    close: () => sockets.destroy()
  }
}

/** Loaded where it is used: a process without it starts sooner. */
const openRedis = async (url: string, log: BaseLogger) => (await import('../shared/redis.ts')).openRedis(url, log)

/** Everything that has a lifetime, opened in one place and closed in the reverse order. */
export async function openContainer(config: Config, log: BaseLogger, now: () => number) {
  const { queueMax, ...limits } = config.quota
  const connections = shareOpenFiles(openFileLimit())
  const vault = await openVault(config.vault.url, config.vault.keys, { now, log })
  const redis = config.redisUrl === undefined ? undefined : await openRedis(config.redisUrl, log)
  const metrics = createMetrics({ countGrants: vault.countGrants, now })
  const foreign = (path: string) => {
    log.error({ path }, 'an answer of HighLevel belongs to another call')
    metrics.upstream.countMismatched()
  }
  const oauth = openOAuth(config, connections.oauth, now, foreign)
  const grants = openGrants({ vault, oauth: oauth?.api, now, log, count: metrics.countRenewal })
  const upstream = openHighLevel({
    wire: wireOf(config),
    connections: connections.upstream,
    timeoutMs: config.highLevel.timeoutMs,
    tokens: grants.tokens,
    limits,
    queueMax,
    redis,
    now,
    log,
    foreign,
    metrics: metrics.upstream
  })
  // As many as could wait for their location's quota, had they not to wait for one another.
  const turns = createRecordMutex(queueMax + limits.burstMax)
  const lock = createRecordLock(redis)
  const catalog = createCatalog({
    getObject: upstream.client.getObject,
    requireConnected: upstream.client.requireConnected,
    maxChars: MAX_SCHEMA_CHARS,
    now,
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
    turns,
    lock,
    catalog,
    /** How many record calls are under way. */
    inFlight,

    /** The end has begun: what need not be begun is not. Calls go on. */
    drain: grants.stopWorker,

    /** Has every call answered now. */
    async cut(): Promise<void> {
      turns.close()
      lock.close()
      await upstream.cut()
    },

    /**
     * Ends in order: what is on the wire for calls, renewals under way, for which HighLevel has `withinMs` left, what is
     * unsaved, the store. Only what is unsaved may take longer: a pair of tokens that is nowhere else is not left behind.
     */
    async close(withinMs: number) {
      const endsAt = performance.now() + withinMs
      const left = () => Math.max(endsAt - performance.now(), LAST_WORDS_MS)
      await upstream.cut()
      await upstream.close()
      await redis?.close()
      await grants.finishRenewals(withinMs)
      await oauth?.close()
      // What was cut off is noted with its grant.
      await grants.finishRenewals(left())
      await grants.drain()
      await waitAtMost(left(), vault.close)
    }
  }
}

export type Container = Awaited<ReturnType<typeof openContainer>>
