import Fastify, { type FastifyInstance, LogController } from 'fastify'
import type { Logger } from 'pino'
import { Problem } from '../problems/problem.ts'
import { answerConnect, createClientErrorHandler, MAX_URI_CHARS } from './connections/client-errors.ts'
import { limitConnections } from './connections/connection-limit.ts'
import { continueWhenRead } from './connections/expect-continue.ts'
import { headProblem } from './connections/header-check.ts'
import { dropBehindClose, isLast } from './connections/pipelining.ts'
import errors, { createSendProblem, toProblem } from './error-handler.ts'
import { requestId } from './request-id.ts'

/** A socket on which nothing moves for so long is closed, whatever it waits for. */
const IDLE_SOCKET_MS = 120_000

interface Options {
  /** Where a location can be connected, for the problems that ask for it; absent where nobody can connect one. */
  connectUrl: string | undefined
  bodyLimitBytes: number
  /** In Fastify's form. */
  trustProxy: boolean | string[]
  requestDeadlineMs: number
  log: Logger
  isDraining: () => boolean
  /** How many connections it may hold. */
  maxConnections: number
}

/**
 * A child logger a request would serve nobody. Not by `childLoggerFactory`: what one returns Fastify looks over with each
 * request, method by method.
 */
function childless(log: Logger): Logger {
  const own: Logger = Object.create(log, { child: { value: () => own } })
  return own
}

/** The bare server of either listener: what must be decided before anything is registered. */
export function createServer(options: Options): FastifyInstance {
  const { log, isDraining, maxConnections } = options
  const sendProblem = createSendProblem({ connectUrl: options.connectUrl })
  const app = Fastify({
    loggerInstance: childless(log),
    // One line a call, written by http/logging.
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: requestId,
    requestIdHeader: false,
    bodyLimit: options.bodyLimitBytes,
    trustProxy: options.trustProxy,
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
    http: {
      headersTimeout: 15_000,
      connectionsCheckingInterval: 5_000,
      // A request without Host is refused below, with a body that says so; so is one with a field that came twice.
      requireHostHeader: false,
      joinDuplicateHeaders: true
    },
    connectionTimeout: Math.max(IDLE_SOCKET_MS, options.requestDeadlineMs + 30_000),
    // Longer than the 60 s of common load balancers, so that it is never this side that closes a socket in use.
    keepAliveTimeout: 72_000
  }) as unknown as FastifyInstance

  app.register(errors, { sendProblem })
  limitConnections(app.server, maxConnections, log)
  dropBehindClose(app.server)
  answerConnect(app.server, log)
  // Node would answer an Expect that is not known without a body: it is refused with its head.
  app.server.on('checkExpectation', (request, response) => void app.server.emit('request', request, response))
  continueWhenRead(app.server)
  app.addHook('onRequest', (request, reply, done) => {
    const isTooLong = (request.raw.url?.length ?? 0) > MAX_URI_CHARS
    if (isTooLong) return done(new Problem('uri-too-long', `The URL is longer than ${MAX_URI_CHARS} characters`))
    const fault = headProblem(request.raw)
    // What stands before the gateway may have understood it as something else: nothing more is read of this connection.
    if (fault !== undefined) reply.raw.shouldKeepAlive = false
    done(fault)
  })
  // With the answer, not with the request: one that was under way when the end began would keep its socket open, and
  // the process with it.
  app.addHook('onSend', (request, reply, payload, done) => {
    if (isDraining() && isLast(reply.raw)) reply.header('connection', 'close')
    if (reply.raw.destroyed) app.noteHangUp(request, reply)
    done(null, payload)
  })
  return app
}
