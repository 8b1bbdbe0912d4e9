import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Problem, vaultUnavailable } from '../problems/problem.ts'

interface HealthOptions {
  /** Rejects if the database does not answer. */
  ping: () => Promise<void>
  isDraining: () => boolean
  /** What works only partly, for the answer; `undefined` if everything works. */
  degraded: () => string | undefined
  /** Called at each readiness check: a load balancer depends on it. */
  onReadinessCheck: () => void
}

/**
 * `/livez`: the process runs. `/readyz`: it can take calls. Neither depends on HighLevel or Redis: restarting or
 * isolating a gateway would not repair them, and it serves calls without Redis.
 */
export default fp(
  async (app: FastifyInstance, { ping, isDraining, degraded, onReadinessCheck }: HealthOptions) => {
    app.get('/livez', { schema: { hide: true }, config: { quiet: true } }, () => ({ status: 'alive' }))

    app.get('/readyz', { schema: { hide: true }, config: { quiet: true } }, async () => {
      onReadinessCheck()
      if (isDraining())
        throw new Problem('shutting-down', 'This process accepts no new calls', { retryAfterSeconds: 1 })
      await ping().catch((cause) => {
        throw vaultUnavailable('The database does not answer', cause)
      })
      const detail = degraded()
      return detail === undefined ? { status: 'ready' } : { status: 'degraded', detail }
    })
  },
  { name: 'health' }
)
