import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { addressLimit } from '../callers/rate-limit.ts'
import { toProblem } from '../http/error-handler.ts'
import { Problem } from '../problems/problem.ts'
import type { Install } from './install.ts'
import type { StateSigner } from './oauth-state.ts'
import { connectedPage, earlierInstallPage, problemPage } from './result-pages.ts'

interface Options {
  install: Install
  stateSigner: StateSigner
  /** HighLevel's page on which an administrator chooses a location, without `state`. */
  installUrl: string
  /** The URL of this gateway at which an install begins. */
  connectUrl: string
}

/** The query of HighLevel's redirect. An empty parameter counts as absent. */
const Callback = Type.Object({
  code: Type.Optional(Type.String({ maxLength: 2_048 })),
  state: Type.Optional(Type.String({ maxLength: 512 })),
  error: Type.Optional(Type.String({ maxLength: 256 }))
})

/** By the `error` that HighLevel sends instead of a code. */
const errorDetails = new Map([['access_denied', 'The install was cancelled in HighLevel. Nothing was changed']])

/** The URL of the page holds a code. So the page runs no script, is not cached and sends no referrer. */
const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer'
}

/** The OAuth install flow with HighLevel. Both routes are opened in browsers, so problems are HTML pages. */
const installRoutes: FastifyPluginAsyncTypebox<Options> = async (app, options) => {
  const { install, stateSigner, installUrl, connectUrl } = options
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error)
    request.problem = problem
    const { retryAfterSeconds } = problem.extras
    if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds))
    return reply
      .code(problem.status)
      .headers(pageHeaders)
      .send(problemPage(problem, request.id, connectUrl))
  })

  await app.register(addressLimit)

  app.get(
    '/oauth/install',
    { exposeHeadRoute: false, schema: { operationId: 'startInstall', tags: ['installs'] } },
    (_, reply) => {
      const target = new URL(installUrl)
      target.searchParams.set('state', stateSigner.issue())
      return reply.header('cache-control', 'no-store').redirect(target.href, 302)
    }
  )

  const schema = { operationId: 'finishInstall', tags: ['installs'], querystring: Callback }
  // No HEAD route: it would spend the code without showing the page.
  app.get('/oauth/callback', { exposeHeadRoute: false, schema }, async (request, reply) => {
    const { code = '', state = '', error = '' } = request.query
    if (error !== '')
      throw new Problem('invalid-request', errorDetails.get(error) ?? 'HighLevel did not finish the install')
    // There is no state if the install began in HighLevel's marketplace or covers many locations. The token alone then
    // says what was connected.
    if (state !== '' && !stateSigner.isValid(state))
      throw new Problem(
        'invalid-request',
        'This install did not begin here or took too long: open the connect link again'
      )
    if (code === '') throw new Problem('invalid-request', 'HighLevel sent no code')
    const outcome = await install(code, state)
    const html = 'state' in outcome ? earlierInstallPage(outcome, connectUrl) : connectedPage(outcome)
    return reply.headers(pageHeaders).send(html)
  })
}

export default installRoutes
