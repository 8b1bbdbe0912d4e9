import type { FastifyInstance } from 'fastify'
import { type AppOptions, createServer } from './app.ts'
import health from './http/health.ts'
import logging from './http/logging.ts'

/** The second listener, for operators alone: the API gateway never exposes it. */
export async function buildAdmin(options: AppOptions): Promise<FastifyInstance> {
  const { parts, log, writeLine, isDraining } = options
  const app = createServer(options)
  await app.register(logging, { log, writeLine, metrics: parts.metrics })
  await app.register(health, { ping: parts.vault.ping, isDraining })

  app.get('/metrics', { config: { quiet: true } }, async (_, reply) =>
    reply.header('content-type', parts.metrics.contentType).send(await parts.metrics.render())
  )
  return app
}
