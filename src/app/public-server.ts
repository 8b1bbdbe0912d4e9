import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import auth from '../callers/authenticate.ts'
import { createCallers } from '../callers/callers.ts'
import { callerLimit, createFailureLimit, rateLimitCounters } from '../callers/rate-limit.ts'
import rateLimitFields from '../callers/rate-limit-headers.ts'
import health from '../http/health.ts'
import jsonBody from '../http/json-parser.ts'
import { createMethodGuard } from '../http/method-not-allowed.ts'
import openapi from '../http/openapi.ts'
import problemPages from '../http/problem-pages.ts'
import { createServer } from '../http/server.ts'
import validation from '../http/validation.ts'
import { createExchangeCode } from '../installs/exchange-code.ts'
import { createInstall } from '../installs/install.ts'
import { installUrl } from '../installs/install-url.ts'
import { createStateSigner } from '../installs/oauth-state.ts'
import installRoutes from '../installs/routes.ts'
import { createSaveInstall } from '../installs/save-install.ts'
import type { WriteLine } from '../observability/log.ts'
import logging from '../observability/request-log.ts'
import recordRoutes from '../records/routes.ts'
import { createUpdateRecord } from '../records/update-record.ts'
import objectRoutes from '../schemas/routes.ts'
import { version } from '../version.ts'
import { createFindCompany } from '../webhooks/find-company.ts'
import { createHandleEvent } from '../webhooks/handle-event.ts'
import webhookRoutes from '../webhooks/routes.ts'
import type { Config } from './config.ts'
import type { Container } from './container.ts'

export interface ServerOptions {
  config: Config
  parts: Container
  log: Logger
  writeLine: WriteLine
  now: () => number
  isDraining: () => boolean
  /** Until when calls have to be answered, on the clock of `performance.now()`. */
  lastAnswerAt: () => number
  onReadinessAsked: () => void
}

/** The public listener: every register call of it, in order. */
export async function buildPublicServer(options: ServerOptions): Promise<FastifyInstance> {
  const { config, parts, log, writeLine, now, lastAnswerAt } = options
  const app = createServer(httpOptions(options, parts.connections.accepted))
  const methods = createMethodGuard()

  await app.register(logging, { log, writeLine, metrics: parts.metrics })
  await app.register(validation)
  await app.register(jsonBody)
  await app.register(rateLimitCounters, { redis: parts.redis, replicas: parts.upstream.replicas })
  const { corsOrigins } = config.publicServer
  if (corsOrigins !== undefined) {
    await app.register(methods.rejectPlainOptions)
    await app.register(cors, corsOptions(corsOrigins))
  }
  await app.register(openapi, { publicUrl: config.publicServer.url, version })
  await app.register(methods.collectRoutes)

  await app.register(health, healthOf(options))
  await app.register(problemPages)
  const install = installOf(options)
  if (install) await app.register(installRoutes, install)
  await app.register(webhookRoutes, webhooksOf(options))

  await app.register(async (guarded) => {
    const failureLimit = createFailureLimit(guarded)
    await guarded.register(auth, {
      callers: createCallers({ vault: parts.vault, jwt: config.callers.jwt, now, log }),
      failureLimit,
      deadlineMs: config.requestDeadlineMs
    })
    await guarded.register(callerLimit, config.callers.rateLimit)
    await guarded.register(rateLimitFields, {
      windowMs: config.callers.rateLimit.windowMs,
      report: parts.upstream.quota.report
    })
    const calls = { inFlight: parts.inFlight, deadlineMs: config.requestDeadlineMs, lastAnswerAt }
    const readRecord = parts.upstream.client.getRecord
    await guarded.register(recordRoutes, { ...calls, updateRecord: updateRecordOf(options), readRecord })
    await guarded.register(objectRoutes, { ...calls, describe: parts.catalog.describe })
  })
  methods.addMissingMethods(app)
  return app
}

function updateRecordOf({ config, parts }: ServerOptions) {
  return createUpdateRecord({
    upstream: parts.upstream.client,
    catalog: parts.catalog,
    turns: parts.turns,
    lock: parts.lock,
    rules: config.writes,
    countUnchecked: parts.metrics.upstream.countUnchecked
  })
}

/** Where a location can be connected; `undefined` without an app, as nobody can connect one then. */
const connectUrlOf = ({ publicServer, highLevel }: Config) =>
  highLevel.app === undefined ? undefined : `${publicServer.url}/oauth/install`

export const httpOptions = ({ config, log, isDraining }: ServerOptions, maxConnections: number) => ({
  connectUrl: connectUrlOf(config),
  bodyLimitBytes: config.bodyLimitBytes,
  trustProxy: config.publicServer.trustProxy,
  requestDeadlineMs: config.requestDeadlineMs,
  log,
  isDraining,
  maxConnections
})

export const healthOf = ({ parts, isDraining, onReadinessAsked }: ServerOptions) => ({
  ping: parts.vault.ping,
  isDraining,
  onReadinessCheck: onReadinessAsked,
  degraded: () =>
    parts.redis?.isUp() === false ? 'Redis does not answer: limits are counted in this process alone' : undefined
})

function installOf({ config, parts, now, log }: ServerOptions) {
  const { app } = config.highLevel
  if (app === undefined || parts.oauth === undefined) return undefined
  const { saves, leases, retryInBackground, vault, tokens, oauth } = parts
  const saveInstall = createSaveInstall({ saves, leases, vault, now })
  const install = createInstall({
    oauth,
    exchangeCode: createExchangeCode({ oauth, vault, log }),
    saveInstall,
    retryInBackground,
    vault,
    dropCachedToken: tokens.drop,
    now,
    log
  })
  const { url } = config.publicServer
  return {
    install,
    stateSigner: createStateSigner(config.vault.keys, now),
    installUrl: installUrl({ ...app, scopes: config.highLevel.scopes, publicUrl: url }),
    connectUrl: `${url}/oauth/install`
  }
}

function webhooksOf({ config, parts, now, log }: ServerOptions) {
  const { vault, tokens, metrics, catalog, oauth } = parts
  // HighLevel's app id is the client id up to its suffix.
  const appId = config.highLevel.app?.clientId.split('-')[0]
  const findCompany = createFindCompany({ vault, oauth, now, log })
  const handleEvent = createHandleEvent({
    vault,
    appId,
    dropCachedToken: tokens.drop,
    dropCachedSchemas: catalog.drop,
    findCompany,
    now,
    log
  })
  return { publicKey: config.highLevel.webhookKey, handleEvent, count: metrics.countWebhook, now }
}

const corsOptions = (origin: string[]) => ({
  origin,
  methods: ['GET', 'PATCH'],
  exposedHeaders: ['etag', 'ratelimit', 'ratelimit-policy', 'retry-after', 'traceparent', 'x-request-id'],
  maxAge: 600
})
