import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import auth from '../callers/authenticate.ts'
import { createCallers } from '../callers/identify-caller.ts'
import { callerLimit, createFailureLimit, rateLimitCounters } from '../callers/rate-limit.ts'
import rateLimitHeaders from '../callers/rate-limit-headers.ts'
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
import type { Clock } from '../shared/clock.ts'
import { version } from '../version.ts'
import { createFindCompany } from '../webhooks/find-company.ts'
import { createHandleEvent } from '../webhooks/handle-event.ts'
import webhookRoutes from '../webhooks/routes.ts'
import type { Config } from './config.ts'
import type { Container } from './container.ts'

export interface ServerOptions {
  config: Config
  container: Container
  log: Logger
  writeLine: WriteLine
  clock: Clock
  isDraining: () => boolean
  /** By when calls must be answered, on the monotonic clock; infinite until shutdown begins. */
  shutdownDeadline: () => number
  onReadinessCheck: () => void
}

/** Builds the server for callers. A request passes the plugins in the order in which they are registered here. */
export async function buildPublicServer(options: ServerOptions): Promise<FastifyInstance> {
  const { config, container, log, writeLine, clock, shutdownDeadline } = options
  const app = createServer(httpOptions(options, container.connections.accepted))
  const methodGuard = createMethodGuard()

  await app.register(logging, { log, writeLine, metrics: container.metrics })
  await app.register(validation)
  await app.register(jsonBody)
  await app.register(rateLimitCounters, { redis: container.redis, replicas: container.upstream.replicas })
  const { corsOrigins } = config.publicServer
  if (corsOrigins !== undefined) {
    await app.register(methodGuard.rejectPlainOptions)
    await app.register(cors, corsOptions(corsOrigins))
  }
  await app.register(openapi, { publicUrl: config.publicServer.url, version })
  await app.register(methodGuard.collectRoutes)

  await app.register(health, healthOptions(options))
  await app.register(problemPages)
  const install = buildInstall(options)
  if (install) await app.register(installRoutes, install)
  await app.register(webhookRoutes, buildWebhooks(options))

  await app.register(async (guarded) => {
    const failureLimit = createFailureLimit(guarded)
    await guarded.register(auth, {
      callers: createCallers({ vault: container.vault, jwt: config.callers.jwt, clock, log }),
      failureLimit,
      clock,
      deadlineMs: config.requestDeadlineMs
    })
    await guarded.register(callerLimit, config.callers.rateLimit)
    await guarded.register(rateLimitHeaders, {
      windowMs: config.callers.rateLimit.windowMs,
      report: container.upstream.quota.report
    })
    const calls = { inFlight: container.inFlight, deadlineMs: config.requestDeadlineMs, shutdownDeadline, clock }
    const readRecord = container.upstream.client.getRecord
    await guarded.register(recordRoutes, { ...calls, updateRecord: buildUpdateRecord(options), readRecord })
    await guarded.register(objectRoutes, { ...calls, describe: container.catalog.describe })
  })
  methodGuard.addMissingMethods(app)
  return app
}

function buildUpdateRecord({ config, container, clock }: ServerOptions) {
  return createUpdateRecord({
    upstream: container.upstream.client,
    catalog: container.catalog,
    recordMutex: container.recordMutex,
    recordLock: container.recordLock,
    rules: config.writes,
    clock,
    countUnchecked: container.metrics.upstream.countUnchecked
  })
}

/** The page on which a location is connected; `undefined` without client credentials, which connecting needs. */
const connectUrl = ({ publicServer, highLevel }: Config) =>
  highLevel.app === undefined ? undefined : `${publicServer.url}/oauth/install`

export const httpOptions = ({ config, log, clock, isDraining }: ServerOptions, maxConnections: number) => ({
  connectUrl: connectUrl(config),
  bodyLimitBytes: config.bodyLimitBytes,
  trustProxy: config.publicServer.trustProxy,
  requestDeadlineMs: config.requestDeadlineMs,
  log,
  clock,
  isDraining,
  maxConnections
})

export const healthOptions = ({ container, isDraining, onReadinessCheck }: ServerOptions) => ({
  ping: container.vault.ping,
  isDraining,
  onReadinessCheck,
  degraded: () =>
    container.redis?.isUp() === false ? 'Redis does not answer: limits are counted in this process alone' : undefined
})

function buildInstall({ config, container, clock, log }: ServerOptions) {
  const { app } = config.highLevel
  if (app === undefined || container.oauth === undefined) return undefined
  const { saves, leases, retryInBackground, vault, tokens, oauth } = container
  const saveInstall = createSaveInstall({ saves, leases, vault, clock })
  const install = createInstall({
    oauth,
    exchangeCode: createExchangeCode({ oauth, vault, clock, log }),
    saveInstall,
    retryInBackground,
    vault,
    dropCachedToken: tokens.drop,
    clock,
    log
  })
  const { url } = config.publicServer
  return {
    install,
    stateSigner: createStateSigner(config.vault.keys, clock),
    installUrl: installUrl({ ...app, scopes: config.highLevel.scopes, publicUrl: url }),
    connectUrl: `${url}/oauth/install`
  }
}

function buildWebhooks({ config, container, clock, log }: ServerOptions) {
  const { vault, tokens, metrics, catalog, oauth } = container
  // A client id is the app id, a hyphen and a suffix.
  const appId = config.highLevel.app?.clientId.split('-')[0]
  const findCompany = createFindCompany({ vault, oauth, clock, log })
  const handleEvent = createHandleEvent({
    vault,
    appId,
    dropCachedToken: tokens.drop,
    dropCachedSchemas: catalog.drop,
    findCompany,
    clock,
    log
  })
  return { publicKey: config.highLevel.webhookKey, handleEvent, count: metrics.countWebhook, clock }
}

const corsOptions = (origin: string[]) => ({
  origin,
  methods: ['GET', 'PATCH'],
  exposedHeaders: ['etag', 'ratelimit', 'ratelimit-policy', 'retry-after', 'traceparent', 'x-request-id'],
  maxAge: 600
})
