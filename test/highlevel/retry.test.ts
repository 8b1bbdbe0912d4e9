import t from 'tap'
import type { Answer } from '../../src/highlevel/call.ts'
import { createRetry } from '../../src/highlevel/retry.ts'
import { createClock } from '../support/clock.ts'
import { createLocationCall } from './calls.ts'

const answer = (status: number, headers: Answer['headers'] = {}): Answer => ({ status, headers, body: Buffer.alloc(0) })

t.test('retries that are not made use no budget', async (t) => {
  const clock = createClock()
  const retry = createRetry({ clock, count: () => undefined, closing: new AbortController().signal, random: () => 0 })
  let attempts = 0
  const ask = (first: Answer) =>
    retry(async () => {
      attempts += 1
      return attempts === 1 ? first : answer(200)
    })(createLocationCall('GET', 'location', 5_000, clock))

  for (let n = 0; n < 25; n += 1) {
    attempts = 0
    t.equal((await ask(answer(503, { 'retry-after': '60' }))).status, 503, 'the deadline is before Retry-After')
  }
  attempts = 0

  t.equal((await ask(answer(503))).status, 200)
})
