import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { TSchema } from 'typebox'
import { type FieldError, Problem } from '../problems/problem.ts'
import { compileValidator } from './validation-errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Finds errors that the schemas cannot express. The request may not match its schemas. */
    requestErrors?: (request: FastifyRequest) => readonly FieldError[]
  }
}

type FindErrors = (request: FastifyRequest) => readonly FieldError[]

const noErrors: readonly FieldError[] = []

const finder = (schema: unknown, read: (request: FastifyRequest) => unknown, inBody = false): FindErrors[] => {
  if (schema === undefined) return []
  const validate = compileValidator(schema as TSchema, (pointer) =>
    inBody ? { pointer } : { parameter: pointer.slice(1) }
  )
  return [(request) => validate(read(request))]
}

function findersFor({ schema = {}, config }: RouteOptions): FindErrors[] {
  return [
    ...finder(schema.params, (request) => request.params),
    ...finder(schema.querystring, (request) => request.query),
    ...finder(schema.headers, (request) => request.headers),
    ...finder(schema.body, (request) => request.body, true),
    ...(config?.requestErrors ? [config.requestErrors] : [])
  ]
}

/**
 * Validates path, query, headers and body together, so that one answer lists every error. Fastify's own validation is
 * switched off: it stops at the first part that fails, coerces values and drops members, and a gateway rejects, it does
 * not repair. The schemas stay on the routes, where Fastify, OpenAPI and the types expect them.
 */
export default fp(
  async (app: FastifyInstance) => {
    // No validator at all: Fastify would call even a no-op for each part. Its type does not allow this.
    app.setValidatorCompiler(() => null as never)

    app.addHook('onRoute', (route) => {
      const finders = findersFor(route)
      if (finders.length === 0) return
      const validate = (request: FastifyRequest, _: unknown, done: (error?: Error) => void) => {
        let errors: readonly FieldError[] = noErrors
        for (const findErrors of finders) {
          const found = findErrors(request)
          if (found.length > 0) errors = [...errors, ...found]
        }
        done(
          errors.length === 0
            ? undefined
            : new Problem('invalid-request', `Validation errors: ${errors.length}`, { errors })
        )
      }
      route.preValidation = [validate, ...[route.preValidation ?? []].flat()]
    })
  },
  { name: 'validation' }
)
