import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/** `GET /openapi.json` and `GET /docs`, generated from the routes' schemas. Register before the routes. */
export default fp(
  async (app: FastifyInstance, { publicUrl, version }: { publicUrl: string; version: string }) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: { title: 'records-gateway', version, description: 'Updates records of HighLevel custom objects.' },
        servers: [{ url: publicUrl }],
        components: { securitySchemes: { caller: { type: 'http', scheme: 'bearer' } } }
      }
    })
    await app.register(swaggerUi, { routePrefix: '/docs' })
    app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
  },
  { name: 'openapi' }
)
