import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { describeLocation } from '../grants/describe-location.ts'
import type { Vault } from '../grants/vault/vault.ts'
import health from '../http/health.ts'
import { createMethodGuard } from '../http/method-not-allowed.ts'
import { createServer } from '../http/server.ts'
import validation from '../http/validation.ts'
import logging from '../observability/request-log.ts'
import { Problem, vaultUnavailable } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import { ID } from '../shared/ids.ts'
import { healthOptions, httpOptions, type ServerOptions } from './public-server.ts'

const PAGE_SIZE = 1_000

const LocationId = Type.String({ pattern: ID.source, description: 'a location id' })
const states = ['connected', 'backing-off', 'paused', 'reconnect-required', 'uninstalled'] as const
const LocationsQuery = Type.Object(
  {
    after: Type.Optional(LocationId),
    state: Type.Optional(
      Type.Union(
        states.map((state) => Type.Literal(state)),
        { description: `one of ${states.join(', ')}` }
      )
    )
  },
  { additionalProperties: false }
)

interface Options {
  vault: Pick<Vault, 'listLocations' | 'findGrant'>
  clock: Clock
}

/** Lists the state of each location's grant, since when and why. Never shows a token. */
const locationRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { vault, clock }) => {
  app.get('/locations', { schema: { querystring: LocationsQuery } }, async ({ query }) => {
    const page = await vault.listLocations({ ...query, limit: PAGE_SIZE }).catch((cause) => {
      throw vaultUnavailable('The database does not answer', cause)
    })
    const locations = page.map((grant) => describeLocation(grant, clock.now()))
    const next = locations.length === PAGE_SIZE ? locations.at(-1)?.id : undefined
    return {
      locations,
      ...(next !== undefined && { next: `/locations?${new URLSearchParams({ ...query, after: next })}` })
    }
  })

  app.get('/locations/:id', { schema: { params: Type.Object({ id: LocationId }) } }, async ({ params }) => {
    const grant = await vault.findGrant(`location:${params.id}`).catch((cause) => {
      throw vaultUnavailable('The database does not answer', cause)
    })
    if (grant === undefined) throw new Problem('location-not-connected', 'The gateway has no grant for this location')
    return describeLocation(grant, clock.now())
  })
}

/** Builds the server for operators. It has no authentication: the API gateway must not expose it. */
export async function buildAdminServer(options: ServerOptions): Promise<FastifyInstance> {
  const { container, log, writeLine, clock } = options
  const app = createServer(httpOptions(options, container.connections.admin))
  const methodGuard = createMethodGuard()
  await app.register(logging, { log, writeLine, metrics: container.metrics })
  await app.register(validation)
  await app.register(methodGuard.collectRoutes)
  await app.register(health, healthOptions(options))
  await app.register(locationRoutes, { vault: container.vault, clock })

  app.get('/metrics', { config: { quiet: true } }, async (_, reply) =>
    reply.header('content-type', container.metrics.contentType).send(await container.metrics.render())
  )
  methodGuard.addMissingMethods(app)
  return app
}
