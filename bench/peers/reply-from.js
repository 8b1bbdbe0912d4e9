import replyFrom from '@fastify/reply-from'
import Fastify from 'fastify'

const app = Fastify()
await app.register(replyFrom, { base: process.env.UPSTREAM_URL, undici: { connections: 64 } })

app.get('/readyz', async () => 'ready')
app.patch('/records/:schemaKey/:id', (request, reply) => {
  const { schemaKey, id } = request.params
  return reply.from(`/objects/${schemaKey}/records/${id}`, {
    method: 'PUT',
    rewriteRequestHeaders: (_request, headers) => ({
      ...headers,
      authorization: `Bearer ${process.env.UPSTREAM_TOKEN}`,
      version: '2021-07-28'
    })
  })
})
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
