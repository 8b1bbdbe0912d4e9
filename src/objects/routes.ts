import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import { type CallOptions, createCalls } from '../http/calls.ts'
import { locationFaults, locationOf } from '../http/location.ts'
import { LocationId, SchemaKey, TimeoutMs } from '../http/parameters.ts'
import type { Catalog } from './catalog.ts'
import { propertiesSchema } from './json-schema.ts'

const ObjectPath = Type.Object({ schemaKey: SchemaKey })
const ObjectQuery = Type.Object({ locationId: Type.Optional(LocationId) }, { additionalProperties: false })
const ObjectHeaders = Type.Object({
  'if-none-match': Type.Optional(Type.String()),
  'x-request-timeout-ms': Type.Optional(TimeoutMs)
})

interface Options extends CallOptions {
  loadSchema: Catalog['load']
}

const requestFaults = ({ caller, query }: FastifyRequest) => locationFaults(caller, query)

const objectRoutes: FastifyPluginAsyncTypebox<Options> = async (app, options) => {
  const calls = createCalls(options)
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
      const object = await options.loadSchema(ref, context)
      const tag = `"${object.digest}"`
      reply.header('etag', tag)
      if (request.headers['if-none-match']?.includes(tag)) return reply.code(304).send()
      return reply.header('content-type', 'application/schema+json').send(JSON.stringify(propertiesSchema(object)))
    } finally {
      calls.end(request, reply)
    }
  })
}

export default objectRoutes
