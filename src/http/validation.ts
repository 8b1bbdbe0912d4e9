import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { TSchema } from 'typebox'
import { type Fault, Problem } from '../problems.ts'
import { compileFaults } from './faults.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Faults of a body that its schema cannot express. The body is whatever the caller sent. */
    bodyFaults?: (body: unknown) => readonly Fault[]
  }
}

type Check = (request: FastifyRequest) => readonly Fault[]

const part = (schema: unknown, read: (request: FastifyRequest) => unknown, inBody = false): Check[] => {
  if (schema === undefined) return []
  const faults = compileFaults(schema as TSchema, (pointer) => (inBody ? { pointer } : { parameter: pointer.slice(1) }))
  return [(request) => faults(read(request))]
}

function checksOf({ schema = {}, config }: RouteOptions): Check[] {
  const bodyFaults = config?.bodyFaults
  return [
    ...part(schema.params, (request) => request.params),
    ...part(schema.querystring, (request) => request.query),
    ...part(schema.headers, (request) => request.headers),
    ...part(schema.body, (request) => request.body, true),
    ...(bodyFaults ? [(request: FastifyRequest) => bodyFaults(request.body)] : [])
  ]
}

/**
 * Checks path, query, headers and body together, so that one answer names every fault. Fastify's own validation stops
 * at the first part that fails, coerces values and drops members, so it is switched off: a gateway refuses, it does
 * not repair. The routes' schemas stay where Fastify, OpenAPI and the types expect them.
 */
export default fp(
  async (app: FastifyInstance) => {
    app.setValidatorCompiler(() => () => true)

    app.addHook('onRoute', (route) => {
      const checks = checksOf(route)
      if (checks.length === 0) return
      const check = (request: FastifyRequest, _: unknown, done: (error?: Error) => void) => {
        const errors = checks.flatMap((faults) => faults(request))
        done(
          errors.length === 0
            ? undefined
            : new Problem('invalid-request', `Faults in the request: ${errors.length}`, { errors })
        )
      }
      route.preValidation = [check, ...[route.preValidation ?? []].flat()]
    })
  },
  { name: 'validation' }
)
