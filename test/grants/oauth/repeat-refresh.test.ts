import t from 'tap'
import { repeatRefresh, SILENCE_MS } from '../../../src/grants/oauth/repeat-refresh.ts'
import { TokenRefusal } from '../../../src/grants/oauth/token-refusal.ts'
import { UnknownOutcome } from '../../../src/grants/oauth/unknown-outcome.ts'
import { GRACE_MS } from '../../../src/grants/renewal/schedule.ts'
import { Problem } from '../../../src/problems/problem.ts'
import { createClock } from '../../support/clock.ts'

const REQUESTED_AT = 1_000
const unknown = (cause: unknown, requestedAt = REQUESTED_AT) => new UnknownOutcome(cause, requestedAt)
const lost = (requestedAt?: number) => unknown(new Problem('upstream-timeout', 'no answer'), requestedAt)
const answered = (requestedAt?: number) =>
  unknown(new Problem('upstream-unavailable', '503', { upstream: { status: 503 } }), requestedAt)
const spent = () => new TokenRefusal('invalid-grant', 400, 'invalid_grant')

/** Refresh requests that the test answers one by one. */
function refreshRequests() {
  const sent: PromiseWithResolvers<string>[] = []
  const send = () => {
    const request = Promise.withResolvers<string>()
    sent.push(request)
    return request.promise
  }
  const until = async (count: number) => {
    while (sent.length < count) await new Promise(setImmediate)
  }
  return { sent, send, until }
}

t.test('a refresh that is answered in time is not repeated', async (t) => {
  const { sent, send } = refreshRequests()
  const clock = createClock()
  const answer = repeatRefresh(send, clock)
  await clock.pass(SILENCE_MS - 1)

  sent[0]?.resolve('pair')

  t.equal(await answer, 'pair')
  t.equal(sent.length, 1)
})

t.test('a process that was suspended beyond the grace does not repeat the refresh, and takes the answer', async (t) => {
  const { sent, send } = refreshRequests()
  const clock = createClock()
  const answer = repeatRefresh(send, clock)
  clock.move(GRACE_MS)
  await clock.pass(0)

  sent[0]?.resolve('pair')

  t.equal(await answer, 'pair')
  t.equal(sent.length, 1)
})

t.test('a refresh whose answer is lost is repeated at once, up to twice', async (t) => {
  for (const lostCount of [1, 2]) {
    const { sent, send, until } = refreshRequests()
    const answer = repeatRefresh(send, createClock())
    for (let n = 0; n < lostCount; n += 1) {
      sent[n]?.reject(lost())
      await until(n + 2)
    }
    sent[lostCount]?.resolve('the same pair')
    t.equal(await answer, 'the same pair')
  }
})

t.test('a refusal, a 5xx and a request that was never sent are not repeated at once', async (t) => {
  for (const error of [spent(), answered(), new Problem('upstream-failed', 'not sent')]) {
    const { sent, send } = refreshRequests()
    const answer = repeatRefresh(send, createClock())
    sent[0]?.reject(error)
    await t.rejects(answer, error)
    t.equal(sent.length, 1)
  }
})

t.test('without an answer the refresh is repeated up to twice, and any attempt may bring the tokens', async (t) => {
  for (const winner of [0, 1, 2]) {
    const { sent, send } = refreshRequests()
    const clock = createClock()
    const answer = repeatRefresh(send, clock)
    await clock.pass(2 * SILENCE_MS)

    for (const n of [2, 1, 0]) if (n !== winner) sent[n]?.reject(n === 2 ? spent() : lost())
    sent[winner]?.resolve('pair')

    t.equal(await answer, 'pair')
    t.equal(sent.length, 3)
  }
})

t.test('of several failures the refusal that may end the grant is reported', async (t) => {
  const { sent, send } = refreshRequests()
  const clock = createClock()
  const answer = repeatRefresh(send, clock)
  await clock.pass(2 * SILENCE_MS)

  sent[0]?.reject(lost())
  sent[1]?.reject(spent())
  sent[2]?.reject(lost())

  await t.rejects(answer, { name: 'TokenRefusal', kind: 'invalid-grant' })
})

t.test('a refusal that may end the grant is reported even after a refusal for another reason', async (t) => {
  const { sent, send } = refreshRequests()
  const clock = createClock()
  const answer = repeatRefresh(send, clock)
  await clock.pass(2 * SILENCE_MS)

  sent[0]?.reject(new TokenRefusal('refused', 401, 'Invalid client credentials!'))
  sent[1]?.reject(spent())
  sent[2]?.reject(lost())

  await t.rejects(answer, { name: 'TokenRefusal', kind: 'invalid-grant' })
})

t.test('a later failure with a known outcome does not hide an earlier unknown outcome', async (t) => {
  const later = [
    new TokenRefusal('refused', 400, 'Something else'),
    new TokenRefusal('inactive', 400, 'Location is not active'),
    new Problem('upstream-unavailable', '429', { upstream: { status: 429 } }),
    new Problem('upstream-failed', 'No connection could be made')
  ]
  for (const failure of later) {
    const { sent, send, until } = refreshRequests()
    const answer = repeatRefresh(send, createClock())
    sent[0]?.reject(lost())
    await until(2)
    sent[1]?.reject(failure)
    const cause = failure instanceof TokenRefusal ? failure : { code: 'upstream-timeout' }
    await t.rejects(answer, { name: 'UnknownOutcome', requestedAt: REQUESTED_AT, cause })
  }
})

t.test('of several unknown outcomes the latest request time is reported', async (t) => {
  const { sent, send, until } = refreshRequests()
  const answer = repeatRefresh(send, createClock())
  sent[0]?.reject(lost(1_000))
  await until(2)
  sent[1]?.reject(answered(2_000))
  await t.rejects(answer, { name: 'UnknownOutcome', requestedAt: 2_000 })
})
