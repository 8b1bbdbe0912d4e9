import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../problems/problem.ts'

/** The media types of a body. */
export const BODY_TYPES = ['application/json', 'application/merge-patch+json']

const compressed = () =>
  new Problem('unsupported-media-type', 'The body is compressed: send it as it is', {
    headers: { 'accept-encoding': 'identity' }
  })

function refuseCompressed({ headers }: FastifyRequest, _: FastifyReply, done: HookHandlerDoneFunction): void {
  const encoding = headers['content-encoding']
  done(encoding === undefined || /^(?:identity)?$/i.test(encoding) ? undefined : compressed())
}

/** Where the parser stopped. Its message repeats a piece of the body, so nothing else of it may be shown. */
const place = (message: string) => / at position \d+/.exec(message)?.[0] ?? ''

/** Whether the careful parser has something to look for: names written out, or any letter of them as an escape. */
const mayHoldPrototype = (text: string) =>
  text.includes('__proto__') || text.includes('constructor') || text.includes('\\u')

/** The engine's parser alone, without the careful one's search of the text; `undefined` for what that one has to explain. */
const parsePlain = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Reads JSON bodies and no others. Bytes that are not UTF-8 are refused, not replaced, and so are members named
 * `__proto__`, which an object would swallow.
 */
export default fp(
  async (app: FastifyInstance) => {
    // Before a body is read, as the head says it, and behind the hooks of the route's scope: who may not call at all is
    // told that. Not for routes without a schema for their body, which read it in their own way.
    app.addHook('onRoute', (route) => {
      if (route.schema?.body !== undefined) route.onRequest = [...[route.onRequest ?? []].flat(), refuseCompressed]
    })
    const parse = app.getDefaultJsonParser('error', 'error')
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(BODY_TYPES, { parseAs: 'buffer' }, (request, body, done) => {
      const bytes = body as Buffer
      if (!isUtf8(bytes)) return done(new Problem('invalid-json', 'The body is not UTF-8'))
      const text = bytes.toString('utf8')
      const value = mayHoldPrototype(text) ? undefined : parsePlain(text)
      if (value !== undefined) return done(null, value)
      parse(request, text, (error, value) => {
        if (error) done(new Problem('invalid-json', `The body is not valid JSON${place(error.message)}`))
        else done(null, value)
      })
    })
  },
  { name: 'json-body' }
)
