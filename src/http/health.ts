import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../problems/problem.ts'

export interface HealthOptions {
  /** Resolves while the store answers. */
  ping: () => Promise<void>
  isDraining: () => boolean
  /** What works only in part; `undefined` while all does. */
  degraded: () => string | undefined
  /** Somebody routes calls by this process's readiness. */
  onAsked: () => void
}

/**
 * `/livez`: the process runs. `/readyz`: it should get calls. HighLevel is no part of either, nor is Redis: restarting
 * or isolating a gateway mends nothing there, and it serves calls without Redis.
 */
export default fp(
  async (app: FastifyInstance, { ping, isDraining, degraded, onAsked }: HealthOptions) => {
    app.get('/livez', { schema: { hide: true }, config: { quiet: true } }, () => ({ status: 'alive' }))

    app.get('/readyz', { schema: { hide: true }, config: { quiet: true } }, async () => {
      onAsked()
      if (isDraining()) throw new Problem('shutting-down', 'This process takes no new calls', { retryAfterSeconds: 1 })
      await ping().catch((cause) => {
        throw new Problem('vault-unavailable', 'The store does not answer', { retryAfterSeconds: 5, cause })
      })
      const detail = degraded()
      return detail === undefined ? { status: 'ready' } : { status: 'degraded', detail }
    })
  },
  { name: 'health' }
)
