import cors from '@fastify/cors'
import Fastify, { type FastifyInstance, LogController } from 'fastify'
import type { Logger } from 'pino'
import type { Config } from './config.ts'
import auth from './http/auth.ts'
import { createCallers } from './http/callers.ts'
import { createClientErrorHandler, MAX_URI_CHARS } from './http/client-errors.ts'
import errors, { createSendProblem, toProblem } from './http/errors.ts'
import health from './http/health.ts'
import jsonBody from './http/json-body.ts'
import logging from './http/logging.ts'
import { createMethodGuard } from './http/methods.ts'
import openapi from './http/openapi.ts'
import problemPages from './http/problem-pages.ts'
import { callerLimit, createFailureLimit, rateLimitCounters } from './http/rate-limit.ts'
import rateLimitFields from './http/rate-limit-fields.ts'
import { requestId } from './http/request-ids.ts'
import { trustProxy } from './http/trust-proxy.ts'
import validation from './http/validation.ts'
import { createInstall } from './installs/install.ts'
import { installUrl } from './installs/install-url.ts'
import installRoutes from './installs/routes.ts'
import { createStates } from './installs/state.ts'
import type { Parts } from './parts.ts'
import { Problem } from './problems.ts'
import recordRoutes from './records/routes.ts'
import { createUpdateRecord } from './records/update-record.ts'
import type { WriteLine } from './shared/log.ts'
import { version } from './version.ts'
import { createEvents } from './webhooks/events.ts'
import webhookRoutes from './webhooks/routes.ts'

export interface AppOptions {
  config: Config
  parts: Parts
  log: Logger
  writeLine: WriteLine
  now: () => number
  isDraining: () => boolean
  /** Until when calls have to be answered, on the clock of `performance.now()`. */
  lastAnswerAt: () => number
  onReadinessAsked: () => void
}

/** A socket on which nothing moves for so long is closed, whatever it waits for. */
const IDLE_SOCKET_MS = 120_000

/** The bare server: what must be decided before anything is registered. */
export function createServer({
  config,
  log,
  isDraining
}: Pick<AppOptions, 'config' | 'log' | 'isDraining'>): FastifyInstance {
  const connectUrl = config.HIGHLEVEL_CLIENT_ID === undefined ? undefined : `${config.PUBLIC_URL}/oauth/install`
  const sendProblem = createSendProblem({ connectUrl })
  const app = Fastify({
    loggerInstance: log,
    // One line a call, written by http/logging; a child logger a request would serve nobody.
    logController: new LogController({ disableRequestLogging: true }),
    childLoggerFactory: (parent) => parent,
    genReqId: requestId,
    requestIdHeader: false,
    bodyLimit: config.BODY_LIMIT_BYTES,
    trustProxy: trustProxy(config.TRUST_PROXY),
    routerOptions: { maxParamLength: MAX_URI_CHARS },
    // Before routing no hook runs, the one that logs calls included.
    frameworkErrors: (error, request, reply) => {
      const problem = toProblem(error)
      sendProblem(request, reply, problem)
      log.info({ requestId: request.id, method: request.method, status: problem.status, code: problem.code }, 'call')
    },
    clientErrorHandler: createClientErrorHandler(log),
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    // A client that sends slowly, or does not read, holds a socket and nothing else, and not for long.
    requestTimeout: 30_000,
    http: { headersTimeout: 15_000, connectionsCheckingInterval: 5_000 },
    connectionTimeout: Math.max(IDLE_SOCKET_MS, config.REQUEST_DEADLINE_MS + 30_000),
    // Longer than the 60 s of common load balancers, so that it is never this side that closes a socket in use.
    keepAliveTimeout: 72_000
  }) as unknown as FastifyInstance

  app.register(errors, { sendProblem })
  // An Expect that is not known is passed over: Node would answer it without a body.
  app.server.on('checkExpectation', (request, response) => void app.server.emit('request', request, response))
  app.addHook('onRequest', (request, _, done) => {
    const isTooLong = (request.raw.url?.length ?? 0) > MAX_URI_CHARS
    done(isTooLong ? new Problem('uri-too-long', `The URL is longer than ${MAX_URI_CHARS} characters`) : undefined)
  })
  // With the answer, not with the request: one that was under way when the end began would keep its socket open, and
  // the process with it.
  app.addHook('onSend', (request, reply, payload, done) => {
    if (isDraining()) reply.header('connection', 'close')
    if (reply.raw.destroyed) app.noteHangUp(request, reply)
    done(null, payload)
  })
  return app
}

/** The public listener: every register call of it, in order. */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { config, parts, log, writeLine, now, lastAnswerAt } = options
  const app = createServer(options)
  const methods = createMethodGuard()

  await app.register(logging, { log, writeLine, metrics: parts.metrics })
  await app.register(validation)
  await app.register(jsonBody)
  await app.register(rateLimitCounters, { redis: parts.redis, replicas: parts.upstream.replicas })
  if (config.CORS_ORIGINS !== undefined) await app.register(cors, corsOptions(config.CORS_ORIGINS))
  await app.register(openapi, { publicUrl: config.PUBLIC_URL, version })
  await app.register(methods.plugin)

  await app.register(health, healthOf(options))
  await app.register(problemPages)
  const install = config.HIGHLEVEL_CLIENT_ID === undefined ? undefined : installOf(options)
  if (install) await app.register(installRoutes, install)
  await app.register(webhookRoutes, webhooksOf(options))

  await app.register(async (guarded) => {
    const failures = createFailureLimit(guarded)
    await guarded.register(auth, {
      callers: createCallers({ vault: parts.vault, jwt: jwtOf(config), now, log }),
      failures
    })
    await guarded.register(callerLimit, { max: config.CALLER_RATE_MAX, windowMs: config.CALLER_RATE_WINDOW_MS })
    await guarded.register(rateLimitFields, {
      windowMs: config.CALLER_RATE_WINDOW_MS,
      report: parts.upstream.quota.report
    })
    const updateRecord = createUpdateRecord({
      upstream: parts.upstream.client,
      turns: parts.turns,
      dialect: config.WRITE_DIALECT
    })
    const { inFlight } = parts
    await guarded.register(recordRoutes, {
      updateRecord,
      inFlight,
      deadlineMs: config.REQUEST_DEADLINE_MS,
      lastAnswerAt
    })
  })
  methods.close(app)
  return app
}

export const healthOf = ({ parts, isDraining, onReadinessAsked }: AppOptions) => ({
  ping: parts.vault.ping,
  isDraining,
  onAsked: onReadinessAsked,
  degraded: () =>
    parts.redis?.isUp() === false ? 'Redis does not answer: limits are counted in this process alone' : undefined
})

function installOf({ config, parts, now, log }: AppOptions) {
  if (parts.oauth === undefined) return undefined
  const { saves, follow, vault, tokens, oauth } = parts
  const install = createInstall({ oauth, saves, follow, vault, forget: tokens.forget, now, log })
  return { install, states: createStates(config.vaultKeys, now), installUrl: installUrl(config) }
}

function webhooksOf({ config, parts, now, log }: AppOptions) {
  const { vault, tokens, metrics } = parts
  // HighLevel's app id is the client id up to its suffix.
  const appId = config.HIGHLEVEL_CLIENT_ID?.split('-')[0]
  const carryOut = createEvents({ vault, appId, forget: tokens.forget, now, log })
  return { key: config.webhookKey, carryOut, count: metrics.countWebhook, now }
}

const jwtOf = ({
  CALLER_JWKS_URL: jwksUrl,
  CALLER_JWT_ISSUER: issuer,
  CALLER_JWT_AUDIENCE: audience,
  CALLER_LOCATIONS_CLAIM: locationsClaim
}: Config) =>
  jwksUrl === undefined || issuer === undefined || audience === undefined
    ? undefined
    : { jwksUrl, issuer, audience, locationsClaim }

const corsOptions = (origins: string) => ({
  origin: origins.split(',').map((origin) => origin.trim()),
  methods: ['GET', 'PATCH'],
  exposedHeaders: ['etag', 'ratelimit', 'ratelimit-policy', 'retry-after', 'traceparent', 'x-request-id'],
  maxAge: 600,
  // An OPTIONS that is no preflight is a method like any other.
  strictPreflight: false
})
