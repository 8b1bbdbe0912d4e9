import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../problems.ts'

export interface HealthOptions {
  /** Resolves while the store answers. */
  ping: () => Promise<void>
  isDraining: () => boolean
}

/**
 * `/livez`: the process runs. `/readyz`: it should get calls. HighLevel is no part of either: restarting or isolating
 * a gateway mends nothing there.
 */
export default fp(
  async (app: FastifyInstance, { ping, isDraining }: HealthOptions) => {
    app.get('/livez', { schema: { hide: true }, config: { quiet: true } }, () => ({ status: 'alive' }))

    app.get('/readyz', { schema: { hide: true }, config: { quiet: true } }, async () => {
      if (isDraining()) throw new Problem('shutting-down', 'This process takes no new calls', { retryAfterSeconds: 1 })
      await ping().catch((cause) => {
        throw new Problem('vault-unavailable', 'The store does not answer', { retryAfterSeconds: 5, cause })
      })
      return { status: 'ready' }
    })
  },
  { name: 'health' }
)
