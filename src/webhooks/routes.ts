import type { KeyObject } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { createFailureLimit } from '../callers/rate-limit.ts'
import { Problem } from '../problems/problem.ts'
import { isTimely, readEvent, type WebhookEvent } from './event.ts'
import type { EventResult, HandleEvent } from './handle-event.ts'
import { isSigned } from './signature.ts'

interface Options {
  key: KeyObject
  take: HandleEvent
  count: (type: string, outcome: EventResult) => void
  now: () => number
}

const refuse = (detail: string) => new Problem('unauthenticated', detail)

/** Where HighLevel reports installs. Answered only after what the event changes is stored: what fails comes again. */
export default async function webhookRoutes(app: FastifyInstance, { key, take, count, now }: Options) {
  const failures = createFailureLimit(app)
  // The signature is of the bytes as they came, whatever they are said to be.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))

  const verify = (raw: Buffer, signature: unknown): WebhookEvent => {
    if (!isSigned(key, raw, signature)) throw refuse('x-ghl-signature is not HighLevel’s signature of this body')
    const event = readEvent(raw)
    if (!isTimely(event, now())) throw refuse('This delivery is more than a day old, or more than five minutes ahead')
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
    const outcome = await take(event).catch((cause: unknown) => {
      if (cause instanceof Problem) throw cause
      throw new Problem('vault-unavailable', 'The event cannot be stored now', { retryAfterSeconds: 5, cause })
    })
    count(event.type, outcome)
    return { status: outcome }
  })
}
