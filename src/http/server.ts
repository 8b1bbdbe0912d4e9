import Fastify, { type FastifyInstance, LogController } from 'fastify'
import type { Logger } from 'pino'
import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import { createClientErrorHandler, MAX_URI_CHARS, rejectConnect } from './connections/client-errors.ts'
import { limitConnections } from './connections/connection-limit.ts'
import { sendContinueOnRead } from './connections/expect-continue.ts'
import { findHeaderProblem } from './connections/header-check.ts'
import { dropRequestsAfterClose, isLastResponse } from './connections/pipelining.ts'
import errors, { createSendProblem, toProblem } from './error-handler.ts'
import { requestId } from './request-id.ts'

/** Idle sockets are closed after this, whatever they wait for. */
const IDLE_SOCKET_MS = 120_000

interface Options {
  /** Where a person connects a location; `undefined` if the gateway has no client credentials. */
  connectUrl: string | undefined
  bodyLimitBytes: number
  /** Fastify's option of the same name. */
  trustProxy: boolean | string[]
  requestDeadlineMs: number
  log: Logger
  clock: Clock
  isDraining: () => boolean
  /** The most connections that may be open at a time. */
  maxConnections: number
}

/**
 * Skips Fastify's child logger per request: one line is logged per call. `childLoggerFactory` would not do, because
 * Fastify checks every method of the logger that it returns, on each request.
 */
function withoutChildLoggers(log: Logger): Logger {
  const logger: Logger = Object.create(log, { child: { value: () => logger } })
  return logger
}

/** The base of both servers: what must be set before any plugin is registered. */
export function createServer(options: Options): FastifyInstance {
  const { log, clock, isDraining, maxConnections } = options
  const sendProblem = createSendProblem({ connectUrl: options.connectUrl })
  const app = Fastify({
    loggerInstance: withoutChildLoggers(log),
    // observability/request-log writes one line per call.
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: requestId,
    requestIdHeader: false,
    bodyLimit: options.bodyLimitBytes,
    trustProxy: options.trustProxy,
    routerOptions: { maxParamLength: MAX_URI_CHARS },
    // No hooks run before routing, so the call is logged here.
    frameworkErrors: (error, request, reply) => {
      const problem = toProblem(error)
      sendProblem(request, reply, problem)
      log.info({ requestId: request.id, method: request.method, status: problem.status, code: problem.code }, 'call')
    },
    clientErrorHandler: createClientErrorHandler(log, clock),
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    // Limits how long a client that sends slowly, or does not read, can hold a socket.
    requestTimeout: 30_000,
    http: {
      headersTimeout: 15_000,
      connectionsCheckingInterval: 5_000,
      // Missing Host and repeated headers are rejected below, with a problem as the body.
      requireHostHeader: false,
      joinDuplicateHeaders: true
    },
    connectionTimeout: Math.max(IDLE_SOCKET_MS, options.requestDeadlineMs + 30_000),
    // Longer than the usual 60 s of load balancers: this side must not close a connection that they are about to use.
    keepAliveTimeout: 72_000
  }) as unknown as FastifyInstance

  app.register(errors, { sendProblem })
  limitConnections(app.server, maxConnections, log, clock)
  dropRequestsAfterClose(app.server)
  rejectConnect(app.server, log, clock)
  // Node would answer an unknown Expect without a body. Passed on, it is rejected in `findHeaderProblem`.
  app.server.on('checkExpectation', (request, response) => void app.server.emit('request', request, response))
  sendContinueOnRead(app.server)
  app.addHook('onRequest', (request, reply, done) => {
    const isTooLong = (request.raw.url?.length ?? 0) > MAX_URI_CHARS
    if (isTooLong) return done(new Problem('uri-too-long', `The URL is longer than ${MAX_URI_CHARS} characters`))
    const problem = findHeaderProblem(request.raw)
    // A proxy in front may have understood the request differently: read nothing more from this connection.
    if (problem !== undefined) reply.raw.shouldKeepAlive = false
    done(problem)
  })
  // Decided at the answer, not at the request: a request in flight when draining began would keep its socket open, and
  // with it the process.
  app.addHook('onSend', (request, reply, payload, done) => {
    if (isDraining() && isLastResponse(reply.raw)) reply.header('connection', 'close')
    if (reply.raw.destroyed) app.logHangUp(request, reply)
    done(null, payload)
  })
  return app
}
