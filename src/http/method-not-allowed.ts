import type { FastifyInstance, FastifyRequest, HTTPMethods } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../problems/problem.ts'
import { routeNotFound } from './error-handler.ts'

const isPreflight = ({ headers }: FastifyRequest): boolean =>
  headers.origin !== undefined && headers['access-control-request-method'] !== undefined

/**
 * Answers 405 with `Allow` where Fastify would answer 404: on a known path with another method. `collectRoutes` is
 * registered before the routes, and `addMissingMethods` is called after them.
 */
export function createMethodGuard() {
  const methodsByPath = new Map<string, Set<string>>()

  /** The `Allow` header by path. Filled by `addMissingMethods`. */
  const allowByPath = new Map<string, string>()

  const methodNotAllowed = (allow: string) =>
    new Problem('method-not-allowed', `This path supports ${allow}`, { headers: { allow } })

  return {
    /**
     * Treats OPTIONS like any other method unless it is a CORS preflight. Register before CORS, which would answer any
     * OPTIONS.
     */
    rejectPlainOptions: fp(async (app: FastifyInstance) => {
      app.addHook('onRequest', (request, reply, done) => {
        if (request.method !== 'OPTIONS' || isPreflight(request)) return done()
        const allow = allowByPath.get(request.routeOptions.url ?? '')
        if (allow === undefined) reply.callNotFound()
        else done(methodNotAllowed(allow))
      })
    }),

    collectRoutes: fp(async (app: FastifyInstance) => {
      app.addHook('onRoute', ({ url, method }) => {
        const methods = methodsByPath.get(url) ?? new Set()
        for (const name of [method].flat()) methods.add(name)
        methodsByPath.set(url, methods)
      })
    }),

    addMissingMethods(app: FastifyInstance): void {
      // Before the body is read, for unknown paths too. Scopes registered earlier do not inherit this hook.
      app.addHook('onRequest', (request, _, done) => done(request.is404 ? routeNotFound(request) : undefined))
      for (const [url, methods] of [...methodsByPath]) {
        const missing = app.supportedMethods.filter((method) => !methods.has(method)) as HTTPMethods[]
        const allow = [...methods].sort().join(', ')
        allowByPath.set(url, allow)
        app.route({
          url,
          method: missing,
          schema: { hide: true },
          // Before the body is read: the method is the first error, whatever the body is.
          onRequest: async () => {
            throw methodNotAllowed(allow)
          },
          handler: () => undefined
        })
      }
    }
  }
}
