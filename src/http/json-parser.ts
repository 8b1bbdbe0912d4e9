import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../problems/problem.ts'

export const BODY_MEDIA_TYPES = ['application/json', 'application/merge-patch+json']

const compressedBodyProblem = () =>
  new Problem('unsupported-media-type', 'The body must not be compressed', {
    headers: { 'accept-encoding': 'identity' }
  })

function rejectCompressed({ headers }: FastifyRequest, _: FastifyReply, done: HookHandlerDoneFunction): void {
  const encoding = headers['content-encoding']
  done(encoding === undefined || /^(?:identity)?$/i.test(encoding) ? undefined : compressedBodyProblem())
}

/** Where the parser stopped. The rest of its message quotes the body and must not be shown. */
const formatPosition = (message: string) => / at position \d+/.exec(message)?.[0] ?? ''

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether the JSON body has `\u` escapes: without, its strings hold neither NUL nor lone surrogates. */
    hasEscapes: boolean
  }
}

const hasForbiddenName = (text: string) => text.includes('__proto__') || text.includes('constructor')

/** Parses without looking for forbidden names. `undefined` on an error, which the checking parser then explains. */
const parseUnchecked = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Accepts JSON bodies only. Rejects invalid UTF-8 instead of replacing it. Rejects members that could change an
 * object's prototype: `__proto__`, and `constructor` with `prototype`.
 */
export default fp(
  async (app: FastifyInstance) => {
    // Runs before the body is read, but after the hooks of the route's scope: authentication errors come first. Routes
    // without a body schema read the body themselves.
    app.addHook('onRoute', (route) => {
      if (route.schema?.body !== undefined) route.onRequest = [...[route.onRequest ?? []].flat(), rejectCompressed]
    })
    app.decorateRequest('hasEscapes', true)
    const parse = app.getDefaultJsonParser('error', 'error')
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(BODY_MEDIA_TYPES, { parseAs: 'buffer' }, (request, body, done) => {
      const bytes = body as Buffer
      if (!isUtf8(bytes)) return done(new Problem('invalid-json', 'The body is not valid UTF-8'))
      const text = bytes.toString('utf8')
      request.hasEscapes = text.includes('\\u')
      // An escape may spell a forbidden name.
      const value = request.hasEscapes || hasForbiddenName(text) ? undefined : parseUnchecked(text)
      if (value !== undefined) return done(null, value)
      parse(request, text, (error, value) => {
        if (error) done(new Problem('invalid-json', `The body is not valid JSON${formatPosition(error.message)}`))
        else done(null, value)
      })
    })
  },
  { name: 'json-body' }
)
