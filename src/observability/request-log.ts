import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { BaseLogger } from 'pino'
import type { CallRecord, WriteState } from '../highlevel/call.ts'

import { traceparent } from '../http/request-id.ts'
import type { WriteLine } from './log.ts'
import type { Metrics } from './metrics.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** No log line and no count for a request that passes. */
    quiet?: boolean
  }
  interface FastifyInstance {
    /** A response whose socket is gone never finishes: what became of its call is noted before it is sent. */
    noteHangUp(request: FastifyRequest, reply: FastifyReply): void
  }
  interface FastifyRequest {
    /** W3C Trace Context of the call: the caller's, or made here. */
    traceparent: string
    /** What a record route is about, once it is known. */
    work: Work | undefined
    isLogged: boolean
  }
}

/** What a call is about, as far as the log may know it: names and ids, never a value. */
export interface CallSubject {
  locationId: string
  schemaKey: string
  id?: string
  /** The names of the changed members. */
  fields?: readonly string[]
}

interface Work {
  subject: CallSubject
  callRecord: CallRecord
  write: WriteState
}

/** Field names come from callers, so their number and length in the log are bounded. */
const MAX_NAMES = 50
const MAX_NAME_CHARS = 100

const round = (ms: number) => Math.round(ms * 100) / 100

const names = (fields: readonly string[]) =>
  fields.length <= MAX_NAMES && fields.every((name) => name.length <= MAX_NAME_CHARS)
    ? fields.join(' ')
    : fields
        .slice(0, MAX_NAMES)
        .map((name) => name.slice(0, MAX_NAME_CHARS))
        .join(' ')

/** Everything that the line of a call holds: an allow-list, so that nothing comes in by being somewhere in the request. */
const line = (request: FastifyRequest, reply: FastifyReply, route: string | undefined) => {
  const { work } = request
  const hungUp = reply.raw.destroyed
  return {
    requestId: request.id,
    traceparent: request.traceparent,
    method: request.method,
    route,
    caller: request.caller?.id,
    // Nobody got the answer; nginx's number for it.
    status: hungUp ? 499 : reply.statusCode,
    hungUp: hungUp ? true : undefined,
    code: request.problem?.code,
    reason: request.problem?.extras.reason,
    ms: round(reply.elapsedTime),
    location: work?.subject.locationId,
    object: work?.subject.schemaKey,
    record: work?.subject.id,
    fields: work?.subject.fields && names(work.subject.fields),
    upstreamStatus: work?.callRecord.upstreamStatus,
    upstreamTraceId: work?.callRecord.upstreamTraceId,
    attempts: work?.callRecord.attempts,
    queueMs: work && round(work.callRecord.queueMs),
    tokenMs: work && round(work.callRecord.tokenMs),
    schemaMs: work && work.callRecord.schemaMs > 0 ? round(work.callRecord.schemaMs) : undefined,
    upstreamMs: work && round(work.callRecord.upstreamMs)
  }
}

/** One line and one count a call, at info, or at error where the fault is not the caller's. */
export default fp(
  async (
    app: FastifyInstance,
    { log, writeLine, metrics }: { log: BaseLogger; writeLine: WriteLine; metrics: Metrics }
  ) => {
    app.decorateRequest('traceparent', '')
    app.decorateRequest('work', undefined)
    app.decorateRequest('isLogged', false)

    app.addHook('onRequest', (request, reply, done) => {
      request.traceparent = traceparent(request.raw)
      reply.header('x-request-id', request.id).header('traceparent', request.traceparent)
      done()
    })

    const note = (request: FastifyRequest, reply: FastifyReply) => {
      request.isLogged = true
      // Probes and scrapes come every few seconds and say nothing while they pass.
      const { url, config } = request.routeOptions
      if (config.quiet && reply.statusCode < 400) return
      const record = line(request, reply, url)
      metrics.countCall(url ?? 'none', record.status, record.hungUp ? 'hung-up' : (request.problem?.code ?? 'none'))
      if (request.work) {
        metrics.observe('total', reply.elapsedTime)
        if (request.work.callRecord.queueMs > 0) metrics.observe('queue', request.work.callRecord.queueMs)
        if (request.work.callRecord.tokenMs > 0) metrics.observe('token', request.work.callRecord.tokenMs)
        if (request.work.callRecord.attempts > 0) metrics.observe('upstream', request.work.callRecord.upstreamMs)
      }
      if (record.status < 500) writeLine('info', record, 'call')
      else log.error({ ...record, err: request.problem?.extras.cause }, 'call')
    }

    app.decorate('noteHangUp', note)
    app.addHook('onResponse', (request, reply, done) => {
      if (!request.isLogged) note(request, reply)
      done()
    })
  },
  { name: 'logging' }
)
