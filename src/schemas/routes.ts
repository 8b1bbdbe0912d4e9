import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import { type CallOptions, createCallContexts } from '../callers/call-context.ts'
import { authorizedLocation, locationErrors } from '../callers/location-access.ts'
import { matchesWeakly, readConditionHeaders, verifyIfMatch } from '../http/etag.ts'
import { LocationId, SchemaKey, TimeoutMs } from '../http/parameters.ts'
import { version } from '../version.ts'
import { propertiesSchema } from './json-schema.ts'
import type { ObjectSchema } from './object-schema.ts'
import type { SchemaCatalog } from './schema-catalog.ts'

const ObjectPath = Type.Object({ schemaKey: SchemaKey })
const ObjectQuery = Type.Object({ locationId: Type.Optional(LocationId) }, { additionalProperties: false })
const ObjectHeaders = Type.Object({
  ...readConditionHeaders,
  'x-request-timeout-ms': Type.Optional(TimeoutMs)
})

interface Options extends CallOptions {
  describe: SchemaCatalog['describe']
}

/**
 * Keeps the last result, because callers ask for the same object again: rendering a large one takes tens of
 * milliseconds.
 */
function createRenderer() {
  let last = { digest: '', text: '' }
  return (object: ObjectSchema): string => {
    if (last.digest !== object.digest) {
      last = { digest: object.digest, text: JSON.stringify(propertiesSchema(object)) }
    }
    return last.text
  }
}

const requestErrors = ({ caller, query }: FastifyRequest) => locationErrors(caller, query)

const objectRoutes: FastifyPluginAsyncTypebox<Options> = async (app, options) => {
  const calls = createCallContexts(options)
  const render = createRenderer()
  const schema = {
    operationId: 'describeObject',
    tags: ['objects'],
    security: [{ caller: [] }],
    summary: 'What the properties of a write may hold, as JSON Schema',
    params: ObjectPath,
    querystring: ObjectQuery,
    headers: ObjectHeaders
  }

  app.get('/objects/:schemaKey', { schema, config: { requestErrors } }, async (request, reply) => {
    const ref = { locationId: authorizedLocation(request.caller, request.query), schemaKey: request.params.schemaKey }
    const context = calls.begin(request, reply, ref)
    try {
      const object = await options.describe(ref, context)
      // The tag includes the version: another version may describe the same field differently.
      const tag = `"${object.digest}-${version}"`
      reply.header('etag', tag)
      verifyIfMatch(request.headers['if-match'], tag, 'The object')
      if (matchesWeakly(request.headers['if-none-match'], tag)) return reply.code(304).send()
      return reply.header('content-type', 'application/schema+json').send(render(object))
    } finally {
      calls.end(request, reply)
    }
  })
}

export default objectRoutes
