import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type CallOptions, createCallContexts } from '../callers/call-context.ts'
import { authorizedLocation, locationErrors } from '../callers/location-access.ts'
import type { HighLevelClient, RecordAnswer } from '../highlevel/client.ts'
import { withWriteOutcome } from '../highlevel/write-outcome.ts'
import { toProblem } from '../http/error-handler.ts'
import { matchesWeakly } from '../http/etag.ts'
import type { FieldError } from '../problems/problem.ts'
import { bodyLimitErrors } from './body-limits.ts'
import { etagOf, verifyMatch } from './record-etag.ts'
import { ReadHeaders, RecordPatch, RecordPath, RecordQuery, WriteHeaders, WriteQuery } from './request-schemas.ts'
import type { UpdateRecord } from './update-record.ts'

interface Options extends CallOptions {
  updateRecord: UpdateRecord
  readRecord: HighLevelClient['getRecord']
}

const changedFields = ({ properties, owner, followers }: RecordPatch): string[] => {
  const fields = properties === undefined ? [] : Object.keys(properties)
  if (owner !== undefined) fields.push('owner')
  if (followers !== undefined) fields.push('followers')
  return fields
}

function writeErrors({ caller, query, body, hasEscapes }: FastifyRequest): readonly FieldError[] {
  const [missing, found] = [locationErrors(caller, query), bodyLimitErrors(body, hasEscapes)]
  return missing.length === 0 ? found : [...missing, ...found]
}
const readErrors = ({ caller, query }: FastifyRequest): readonly FieldError[] => locationErrors(caller, query)

/** Sends HighLevel's answer unchanged. A string, not bytes: Node then writes it in one piece with the headers. */
function sendRecord(reply: FastifyReply, { text, record }: RecordAnswer): FastifyReply {
  const tag = etagOf(record)
  if (tag !== undefined) reply.header('etag', tag)
  return reply.header('content-type', 'application/json').send(text)
}

const shared = { tags: ['records'], security: [{ caller: [] }], params: RecordPath }

const recordRoutes: FastifyPluginAsyncTypebox<Options> = async (app, options) => {
  const { updateRecord, readRecord } = options
  const calls = createCallContexts(options)
  // Whatever fails after a write was sent, HighLevel may have stored it. The server's own error handler comes next.
  app.setErrorHandler((error, request) => {
    const problem = toProblem(error)
    throw request.call ? withWriteOutcome(request.call, problem) : problem
  })

  const write = {
    ...shared,
    operationId: 'updateRecord',
    summary: 'Change fields, owner or followers of a record',
    consumes: ['application/json', 'application/merge-patch+json'],
    querystring: WriteQuery,
    headers: WriteHeaders,
    body: RecordPatch
  }
  app.patch(
    '/records/:schemaKey/:id',
    { schema: write, config: { requestErrors: writeErrors } },
    async (request, reply) => {
      const { schemaKey, id } = request.params
      const ref = { locationId: authorizedLocation(request.caller, request.query), schemaKey, id }
      const subject = { locationId: ref.locationId, schemaKey, id, fields: changedFields(request.body) }
      const writeOptions = { ifMatch: request.headers['if-match'], isDryRun: request.query.dryRun === 'true' }
      const context = calls.begin(request, reply, subject)
      try {
        const result = await updateRecord(ref, request.body, writeOptions, context)
        return 'record' in result ? sendRecord(reply, result) : reply.send(result)
      } finally {
        calls.end(request, reply)
      }
    }
  )

  const read = {
    ...shared,
    operationId: 'readRecord',
    summary: 'Read a record',
    querystring: RecordQuery,
    headers: ReadHeaders
  }
  app.get(
    '/records/:schemaKey/:id',
    { schema: read, config: { requestErrors: readErrors } },
    async (request, reply) => {
      const { schemaKey, id } = request.params
      const ref = { locationId: authorizedLocation(request.caller, request.query), schemaKey, id }
      const context = calls.begin(request, reply, ref)
      try {
        const answer = await readRecord(ref, context)
        verifyMatch(request.headers['if-match'], answer.record)
        const tag = etagOf(answer.record)
        if (!matchesWeakly(request.headers['if-none-match'], tag)) return sendRecord(reply, answer)
        return reply.header('etag', tag).code(304).send()
      } finally {
        calls.end(request, reply)
      }
    }
  )
}

export default recordRoutes
