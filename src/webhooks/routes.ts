import type { KeyObject } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { createFailureLimit } from '../callers/rate-limit.ts'
import { Problem, vaultUnavailable } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import { isTimestampAcceptable, readEvent, type WebhookEvent } from './event.ts'
import type { EventResult, HandleEvent } from './handle-event.ts'
import { isSignatureValid } from './signature.ts'

interface Options {
  publicKey: KeyObject
  handleEvent: HandleEvent
  count: (type: string, result: EventResult) => void
  clock: Clock
}

const unauthenticated = (detail: string) => new Problem('unauthenticated', detail)

/** Receives HighLevel's webhooks. Answers once the event is stored. After an error, HighLevel delivers the event again. */
export default async function webhookRoutes(app: FastifyInstance, options: Options) {
  const { publicKey, handleEvent, count, clock } = options
  const failures = createFailureLimit(app)
  // The signature covers the raw bytes, whatever content type they claim.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))

  const verify = (rawBody: Buffer, signature: unknown): WebhookEvent => {
    if (!isSignatureValid(publicKey, rawBody, signature))
      throw unauthenticated('x-ghl-signature is not HighLevel’s signature of this body')
    const event = readEvent(rawBody)
    if (!isTimestampAcceptable(event, clock.now()))
      throw unauthenticated('This delivery is more than a day old, or more than five minutes ahead')
    return event
  }

  app.post('/webhooks/highlevel', { schema: { hide: true } }, async (request) => {
    let event: WebhookEvent
    try {
      event = verify(Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0), request.headers['x-ghl-signature'])
    } catch (problem) {
      await failures.count(request)
      throw problem
    }
    const result = await handleEvent(event).catch((cause: unknown) => {
      if (cause instanceof Problem) throw cause
      throw vaultUnavailable('The event cannot be stored now', cause)
    })
    count(event.type, result)
    return { status: result }
  })
}
