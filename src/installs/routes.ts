import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { addressLimit } from '../callers/rate-limit.ts'
import { toProblem } from '../http/error-handler.ts'
import { Problem } from '../problems/problem.ts'
import type { Install } from './install.ts'
import { connectedPage, problemPage, standingPage } from './page.ts'
import type { States } from './state.ts'

interface Options {
  install: Install
  states: States
  /** HighLevel's page on which an administrator chooses a location, without `state`. */
  installUrl: string
  /** Where an install begins, on this gateway. */
  connectUrl: string
}

/** An empty parameter counts as absent. */
const Callback = Type.Object({
  code: Type.Optional(Type.String({ maxLength: 2_048 })),
  state: Type.Optional(Type.String({ maxLength: 512 })),
  error: Type.Optional(Type.String({ maxLength: 256 }))
})

/** What HighLevel gives as `error` where it comes back without a code. */
const refusals = new Map([['access_denied', 'The install was cancelled in HighLevel, and nothing was changed']])

/** The page is for a person, and its URL holds a code: it runs nothing, is kept nowhere and names no referrer. */
const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer'
}

/** The OAuth round trip with HighLevel. Both routes are for browsers, so problems are shown as a page. */
const installRoutes: FastifyPluginAsyncTypebox<Options> = async (app, options) => {
  const { install, states, installUrl, connectUrl } = options
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
      target.searchParams.set('state', states.issue())
      return reply.header('cache-control', 'no-store').redirect(target.href, 302)
    }
  )

  const schema = { operationId: 'finishInstall', tags: ['installs'], querystring: Callback }
  // No HEAD: it would spend the code and show nobody the page.
  app.get('/oauth/callback', { exposeHeadRoute: false, schema }, async (request, reply) => {
    const { code = '', state = '', error = '' } = request.query
    if (error !== '')
      throw new Problem('invalid-request', refusals.get(error) ?? 'HighLevel did not finish the install')
    // Absent in installs that begin in HighLevel's marketplace or cover many locations: those bind by the token alone.
    if (state !== '' && !states.isValid(state))
      throw new Problem(
        'invalid-request',
        'This install was not begun here or took too long: open the connect link again'
      )
    if (code === '') throw new Problem('invalid-request', 'HighLevel sent no code')
    const outcome = await install(code, state)
    const html = 'state' in outcome ? standingPage(outcome, connectUrl) : connectedPage(outcome)
    return reply.headers(pageHeaders).send(html)
  })
}

export default installRoutes
