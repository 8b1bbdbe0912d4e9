import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { type Fault, Problem } from '../problems.ts'
import { createTrace } from '../upstream/call.ts'
import { locationFaults, recordRef } from './record-ref.ts'
import { RecordHeaders, RecordPatch, RecordPath, RecordQuery } from './schemas.ts'
import type { UpdateRecord } from './update-record.ts'
import { valueFaults } from './values.ts'

interface Options {
  updateRecord: UpdateRecord
  /** How many calls are under way. */
  inFlight: { calls: number }
  /** The longest that a call may take; a caller may ask for less. */
  deadlineMs: number
  /** Until when calls have to be answered, on the clock of `performance.now()`: the process may be about to end. */
  lastAnswerAt: () => number
}

const fieldsOf = ({ properties = {}, owner, followers }: RecordPatch): string[] => [
  ...Object.keys(properties),
  ...(owner ? ['owner'] : []),
  ...(followers ? ['followers'] : [])
]

const requestFaults = ({ caller, query, body }: FastifyRequest): readonly Fault[] => [
  ...locationFaults(caller, query),
  ...valueFaults(body)
]

/** Calls that a process has in hand at a time, those that wait included. */
const MAX_CALLS = 2_500

const tooMany = () =>
  new Problem('overloaded', 'This process has as many calls under way as it can take', { retryAfterSeconds: 1 })

/** A strong tag made of `dateUpdated`, which HighLevel changes with every write. */
const etag = ({ dateUpdated }: Record<string, unknown>): string | undefined =>
  typeof dateUpdated === 'string' && /^[\w:.+-]+$/.test(dateUpdated) ? `"${dateUpdated}"` : undefined

const recordRoutes: FastifyPluginAsyncTypebox<Options> = async (app, options) => {
  const { updateRecord, inFlight, deadlineMs, lastAnswerAt } = options
  const schema = {
    operationId: 'updateRecord',
    tags: ['records'],
    security: [{ caller: [] }],
    summary: 'Change fields, owner or followers of a record',
    consumes: ['application/json', 'application/merge-patch+json'],
    params: RecordPath,
    querystring: RecordQuery,
    headers: RecordHeaders,
    body: RecordPatch
  }

  app.patch('/records/:schemaKey/:id', { schema, config: { requestFaults } }, async (request, reply) => {
    const ref = recordRef(request.caller, request.params, request.query)
    const trace = createTrace()
    request.work = { ...ref, fields: fieldsOf(request.body), trace }

    const wantedMs = Number(request.headers['x-request-timeout-ms'] ?? deadlineMs)
    // From when the call came in: what was done for it so far is a part of its time.
    const startedAt = performance.now() - reply.elapsedTime
    const deadlineAt = Math.min(startedAt + Math.min(wantedMs, deadlineMs), lastAnswerAt())
    const context = { deadlineAt, trace, waiting: { id: request.caller.id, response: reply.raw } }
    if (inFlight.calls >= MAX_CALLS) throw tooMany()
    inFlight.calls += 1
    try {
      const { text, record } = await updateRecord(ref, request.body, context)
      const tag = etag(record)
      if (tag !== undefined) reply.header('etag', tag)
      // A string, not bytes: Node writes it in one piece with the headers.
      return reply.header('content-type', 'application/json').send(text)
    } finally {
      inFlight.calls -= 1
      // Where the caller hangs up just now, the response may never finish, and what was written would not be logged.
      reply.raw.on('close', () => {
        if (!request.isLogged) app.noteHangUp(request, reply)
      })
    }
  })
}

export default recordRoutes
