import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import { type CallOptions, createCallContexts } from '../callers/call-context.ts'
import { locationErrors, locationOf } from '../callers/location-access.ts'
import { isKnown, readConditions, verifyTag } from '../http/etag.ts'
import { LocationId, SchemaKey, TimeoutMs } from '../http/parameters.ts'
import { version } from '../version.ts'
import type { Catalog } from './catalog.ts'
import { propertiesSchema } from './json-schema.ts'
import type { ObjectSchema } from './object-schema.ts'

const ObjectPath = Type.Object({ schemaKey: SchemaKey })
const ObjectQuery = Type.Object({ locationId: Type.Optional(LocationId) }, { additionalProperties: false })
const ObjectHeaders = Type.Object({
  ...readConditions,
  'x-request-timeout-ms': Type.Optional(TimeoutMs)
})

interface Options extends CallOptions {
  describe: Catalog['describe']
}

/** The last one is kept, since it is the one that is asked for again: a large object takes tens of milliseconds. */
function createRender() {
  let last = { digest: '', text: '' }
  return (object: ObjectSchema): string => {
    if (last.digest !== object.digest) {
      last = { digest: object.digest, text: JSON.stringify(propertiesSchema(object)) }
    }
    return last.text
  }
}

const requestFaults = ({ caller, query }: FastifyRequest) => locationErrors(caller, query)

const objectRoutes: FastifyPluginAsyncTypebox<Options> = async (app, options) => {
  const calls = createCallContexts(options)
  const render = createRender()
  const schema = {
    operationId: 'describeObject',
    tags: ['objects'],
    security: [{ caller: [] }],
    summary: 'What the properties of a write may hold, as JSON Schema',
    params: ObjectPath,
    querystring: ObjectQuery,
    headers: ObjectHeaders
  }

  app.get('/objects/:schemaKey', { schema, config: { requestFaults } }, async (request, reply) => {
    const ref = { locationId: locationOf(request.caller, request.query), schemaKey: request.params.schemaKey }
    const context = calls.begin(request, reply, ref)
    try {
      const object = await options.describe(ref, context)
      // What the schema says of a field is this version's own.
      const tag = `"${object.digest}-${version}"`
      reply.header('etag', tag)
      verifyTag(request.headers['if-match'], tag, 'The object')
      if (isKnown(request.headers['if-none-match'], tag)) return reply.code(304).send()
      return reply.header('content-type', 'application/schema+json').send(render(object))
    } finally {
      calls.end(request, reply)
    }
  })
}

export default objectRoutes
