import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { TSchema } from 'typebox'
import { type FieldError, Problem } from '../problems/problem.ts'
import { compileValidation } from './validation-errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Faults that the schemas cannot express. The parts of the request are whatever the caller sent. */
    requestFaults?: (request: FastifyRequest) => readonly FieldError[]
  }
}

type Check = (request: FastifyRequest) => readonly FieldError[]

const none: readonly FieldError[] = []

const part = (schema: unknown, read: (request: FastifyRequest) => unknown, inBody = false): Check[] => {
  if (schema === undefined) return []
  const faults = compileValidation(schema as TSchema, (pointer) =>
    inBody ? { pointer } : { parameter: pointer.slice(1) }
  )
  return [(request) => faults(read(request))]
}

function checksOf({ schema = {}, config }: RouteOptions): Check[] {
  return [
    ...part(schema.params, (request) => request.params),
    ...part(schema.querystring, (request) => request.query),
    ...part(schema.headers, (request) => request.headers),
    ...part(schema.body, (request) => request.body, true),
    ...(config?.requestFaults ? [config.requestFaults] : [])
  ]
}

/**
 * Checks path, query, headers and body together, so that one answer names every fault. Fastify's own validation stops
 * at the first part that fails, coerces values and drops members, so it is switched off: a gateway refuses, it does
 * not repair. The routes' schemas stay where Fastify, OpenAPI and the types expect them.
 */
export default fp(
  async (app: FastifyInstance) => {
    // None at all: Fastify calls even one that passes everything, part by part. Its type does not know.
    app.setValidatorCompiler(() => null as never)

    app.addHook('onRoute', (route) => {
      const checks = checksOf(route)
      if (checks.length === 0) return
      const check = (request: FastifyRequest, _: unknown, done: (error?: Error) => void) => {
        let errors: readonly FieldError[] = none
        for (const faults of checks) {
          const found = faults(request)
          if (found.length > 0) errors = [...errors, ...found]
        }
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
