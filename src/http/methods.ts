import type { FastifyInstance, HTTPMethods } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../problems.ts'

/**
 * Answers 405 with `Allow` on the paths of routes registered after it. Fastify answers 404 to a method that a path
 * does not have; `close` adds the missing methods once all routes are known.
 */
export function createMethodGuard() {
  const paths = new Map<string, Set<string>>()

  return {
    plugin: fp(async (app: FastifyInstance) => {
      app.addHook('onRoute', ({ url, method }) => {
        const methods = paths.get(url) ?? new Set()
        for (const name of [method].flat()) methods.add(name)
        paths.set(url, methods)
      })
    }),

    close(app: FastifyInstance): void {
      for (const [url, methods] of [...paths]) {
        const others = app.supportedMethods.filter((method) => !methods.has(method)) as HTTPMethods[]
        const allow = [...methods].sort().join(', ')
        app.route({
          url,
          method: others,
          schema: { hide: true },
          // Before a body is read: whatever it is, the method is the first fault.
          onRequest: async () => {
            throw new Problem('method-not-allowed', `This path takes ${allow}`, { headers: { allow } })
          },
          handler: () => undefined
        })
      }
    }
  }
}
