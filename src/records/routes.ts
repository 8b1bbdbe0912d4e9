import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { Fault } from '../problems.ts'
import { createTrace } from '../upstream/call.ts'
import { locationFaults, recordRef } from './record-ref.ts'
import { RecordHeaders, RecordPatch, RecordPath, RecordQuery } from './schemas.ts'
import type { UpdateRecord } from './update-record.ts'
import { valueFaults } from './values.ts'

interface Options {
  updateRecord: UpdateRecord
  /** The longest that a call may take; a caller may ask for less. */
  deadlineMs: number
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

/** A strong tag made of `dateUpdated`, which HighLevel changes with every write. */
const etag = ({ dateUpdated }: Record<string, unknown>): string | undefined =>
  typeof dateUpdated === 'string' && /^[\w:.+-]+$/.test(dateUpdated) ? `"${dateUpdated}"` : undefined

const recordRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { updateRecord, deadlineMs }) => {
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
    const deadlineAt = performance.now() + Math.min(wantedMs, deadlineMs)
    const { text, record } = await updateRecord(ref, request.body, { deadlineAt, trace })
    const tag = etag(record)
    if (tag !== undefined) reply.header('etag', tag)
    // A string, not bytes: Node writes it in one piece with the headers.
    return reply.header('content-type', 'application/json').send(text)
  })
}

export default recordRoutes
