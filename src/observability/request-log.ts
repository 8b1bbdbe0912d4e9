import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { BaseLogger } from 'pino'
import type { CallRecord, WriteState } from '../highlevel/call.ts'
import { traceparent } from '../http/request-id.ts'
import type { WriteLine } from './log.ts'
import type { Metrics } from './metrics.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Successful requests are neither logged nor counted. */
    quiet?: boolean
  }
  interface FastifyInstance {
    /** Logs a call whose socket is gone: its response never finishes, so `onResponse` would not run. */
    logHangUp(request: FastifyRequest, reply: FastifyReply): void
  }
  interface FastifyRequest {
    /** W3C Trace Context: the caller's, or a new one. */
    traceparent: string
    /** The call of a record or object route, once it has begun. */
    call: LoggedCall | undefined
    isLogged: boolean
  }
}

/** What a call is about, as far as it may be logged: names and ids, never values. */
export interface CallTarget {
  locationId: string
  schemaKey: string
  id?: string
  /** The names of the changed members. */
  fields?: readonly string[]
}

interface LoggedCall {
  target: CallTarget
  callRecord: CallRecord
  write: WriteState
}

/** Field names come from callers, so their number and length in the log are limited. */
const MAX_NAMES = 50
const MAX_NAME_CHARS = 100

const round = (ms: number) => Math.round(ms * 100) / 100

const joinNames = (fields: readonly string[]) =>
  fields.length <= MAX_NAMES && fields.every((name) => name.length <= MAX_NAME_CHARS)
    ? fields.join(' ')
    : fields
        .slice(0, MAX_NAMES)
        .map((name) => name.slice(0, MAX_NAME_CHARS))
        .join(' ')

/** Everything that is logged about a call. An allow-list: nothing else of the request can get into the log. */
const describeCall = (request: FastifyRequest, reply: FastifyReply, route: string | undefined) => {
  const { call } = request
  const hungUp = reply.raw.destroyed
  return {
    requestId: request.id,
    traceparent: request.traceparent,
    method: request.method,
    route,
    caller: request.caller?.id,
    // Nobody received the answer: nginx's status for that.
    status: hungUp ? 499 : reply.statusCode,
    hungUp: hungUp ? true : undefined,
    code: request.problem?.code,
    reason: request.problem?.extras.reason,
    ms: round(reply.elapsedTime),
    location: call?.target.locationId,
    object: call?.target.schemaKey,
    record: call?.target.id,
    fields: call?.target.fields && joinNames(call.target.fields),
    upstreamStatus: call?.callRecord.upstreamStatus,
    upstreamTraceId: call?.callRecord.upstreamTraceId,
    attempts: call?.callRecord.attempts,
    queueMs: call && round(call.callRecord.queueMs),
    tokenMs: call && round(call.callRecord.tokenMs),
    schemaMs: call && call.callRecord.schemaMs > 0 ? round(call.callRecord.schemaMs) : undefined,
    upstreamMs: call && round(call.callRecord.upstreamMs)
  }
}

/** Logs and counts each call once: 5xx at error, everything else at info. */
export default fp(
  async (
    app: FastifyInstance,
    { log, writeLine, metrics }: { log: BaseLogger; writeLine: WriteLine; metrics: Metrics }
  ) => {
    app.decorateRequest('traceparent', '')
    app.decorateRequest('call', undefined)
    app.decorateRequest('isLogged', false)

    app.addHook('onRequest', (request, reply, done) => {
      request.traceparent = traceparent(request.raw)
      reply.header('x-request-id', request.id).header('traceparent', request.traceparent)
      done()
    })

    const logCall = (request: FastifyRequest, reply: FastifyReply) => {
      request.isLogged = true
      // Probes and scrapes come every few seconds: only their failures are of interest.
      const { url, config } = request.routeOptions
      if (config.quiet && reply.statusCode < 400) return
      const line = describeCall(request, reply, url)
      metrics.countCall(url ?? 'none', line.status, line.hungUp ? 'hung-up' : (request.problem?.code ?? 'none'))
      if (request.call) {
        metrics.observe('total', reply.elapsedTime)
        if (request.call.callRecord.queueMs > 0) metrics.observe('queue', request.call.callRecord.queueMs)
        if (request.call.callRecord.tokenMs > 0) metrics.observe('token', request.call.callRecord.tokenMs)
        if (request.call.callRecord.attempts > 0) metrics.observe('upstream', request.call.callRecord.upstreamMs)
      }
      if (line.status < 500) writeLine('info', line, 'call')
      else log.error({ ...line, err: request.problem?.extras.cause }, 'call')
    }

    app.decorate('logHangUp', logCall)
    app.addHook('onResponse', (request, reply, done) => {
      if (!request.isLogged) logCall(request, reply)
      done()
    })
  },
  { name: 'logging' }
)
