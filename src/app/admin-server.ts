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
import { Problem } from '../problems/problem.ts'
import { ID } from '../shared/ids.ts'
import { healthOf, httpOptions, type ServerOptions } from './public-server.ts'

const PAGE = 1_000

const LocationId = Type.String({ pattern: ID.source, description: 'a location id' })
const states = ['connected', 'backing-off', 'paused', 'reconnect-required', 'uninstalled'] as const
const Page = Type.Object(
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
  now: () => number
}

const unavailable = (cause: unknown) =>
  new Problem('vault-unavailable', 'The store does not answer', { retryAfterSeconds: 5, cause })

/** What state each location's connection is in, since when and why. No token. */
const locationRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { vault, now }) => {
  app.get('/locations', { schema: { querystring: Page } }, async ({ query }) => {
    const page = await vault.listLocations({ ...query, limit: PAGE }).catch((cause) => {
      throw unavailable(cause)
    })
    const locations = page.map((grant) => describeLocation(grant, now()))
    const next = locations.length === PAGE ? locations.at(-1)?.id : undefined
    return {
      locations,
      ...(next !== undefined && { next: `/locations?${new URLSearchParams({ ...query, after: next })}` })
    }
  })

  app.get('/locations/:id', { schema: { params: Type.Object({ id: LocationId }) } }, async ({ params }) => {
    const grant = await vault.findGrant(`location:${params.id}`).catch((cause) => {
      throw unavailable(cause)
    })
    if (grant === undefined) throw new Problem('location-not-connected', 'This gateway knows no such location')
    return describeLocation(grant, now())
  })
}

/** The second listener, for operators alone: the API gateway never exposes it. */
export async function buildAdminServer(options: ServerOptions): Promise<FastifyInstance> {
  const { parts, log, writeLine, now } = options
  const app = createServer(httpOptions(options, parts.connections.admin))
  const methods = createMethodGuard()
  await app.register(logging, { log, writeLine, metrics: parts.metrics })
  await app.register(validation)
  await app.register(methods.collectRoutes)
  await app.register(health, healthOf(options))
  await app.register(locationRoutes, { vault: parts.vault, now })

  app.get('/metrics', { config: { quiet: true } }, async (_, reply) =>
    reply.header('content-type', parts.metrics.contentType).send(await parts.metrics.render())
  )
  methods.addMissingMethods(app)
  return app
}
