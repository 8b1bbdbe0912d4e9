import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { catalog } from '../problems/catalog.ts'
import { Problem } from '../problems/problem.ts'

const CAN_BE_REPEATED = 'The same call can be sent again.'
const FAILS_AGAIN = 'The same call will fail again.'

const page = (
  code: string,
  { status, title, advice, retryable, source }: (typeof catalog)[keyof typeof catalog]
) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${code}</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}h1{font-size:1.4rem}</style>
<h1>${title}</h1>
<p><code>${code}</code>, status ${status}. Who acts: ${source}. ${retryable ? CAN_BE_REPEATED : FAILS_AGAIN}</p>
<p>${advice}</p>
</html>
`

/** One page for each problem code, generated from the catalog. A problem's `type` links to it. */
const problemPages: FastifyPluginAsyncTypebox = async (app) => {
  const pages = new Map(Object.entries(catalog).map(([code, entry]) => [code, page(code, entry)]))
  const schema = { hide: true, params: Type.Object({ code: Type.String() }) }

  app.get('/problems/:code', { schema }, (request, reply) => {
    const found = pages.get(request.params.code)
    if (found === undefined) throw new Problem('route-not-found', 'No problem has this code')
    return reply
      .header('content-type', 'text/html; charset=utf-8')
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
      .send(found)
  })
}

export default problemPages
