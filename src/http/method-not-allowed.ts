import type { FastifyInstance, FastifyRequest, HTTPMethods } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../problems/problem.ts'
import { noRoute } from './error-handler.ts'

const isPreflight = ({ headers }: FastifyRequest): boolean =>
  headers.origin !== undefined && headers['access-control-request-method'] !== undefined

/**
 * Answers 405 with `Allow` on the paths of routes registered after it. Fastify answers 404 to a method that a path
 * does not have; `close` adds the missing methods once all routes are known.
 */
export function createMethodGuard() {
  const paths = new Map<string, Set<string>>()

  /** By path, once all routes are known. */
  const allowed = new Map<string, string>()

  const refusal = (allow: string) =>
    new Problem('method-not-allowed', `This path takes ${allow}`, { headers: { allow } })

  return {
    /**
     * To be registered before CORS, which would answer any OPTIONS: one that is no preflight is a method like any other.
     */
    bareOptions: fp(async (app: FastifyInstance) => {
      app.addHook('onRequest', (request, reply, done) => {
        if (request.method !== 'OPTIONS' || isPreflight(request)) return done()
        const allow = allowed.get(request.routeOptions.url ?? '')
        if (allow === undefined) reply.callNotFound()
        else done(refusal(allow))
      })
    }),

    plugin: fp(async (app: FastifyInstance) => {
      app.addHook('onRoute', ({ url, method }) => {
        const methods = paths.get(url) ?? new Set()
        for (const name of [method].flat()) methods.add(name)
        paths.set(url, methods)
      })
    }),

    close(app: FastifyInstance): void {
      // Before a body is read, here too. What is registered before this in a scope of its own does not pass it.
      app.addHook('onRequest', (request, _, done) => done(request.is404 ? noRoute(request) : undefined))
      for (const [url, methods] of [...paths]) {
        const others = app.supportedMethods.filter((method) => !methods.has(method)) as HTTPMethods[]
        const allow = [...methods].sort().join(', ')
        allowed.set(url, allow)
        app.route({
          url,
          method: others,
          schema: { hide: true },
          // Before a body is read: whatever it is, the method is the first fault.
          onRequest: async () => {
            throw refusal(allow)
          },
          handler: () => undefined
        })
      }
    }
  }
}
