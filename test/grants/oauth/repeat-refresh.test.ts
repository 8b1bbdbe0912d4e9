import t from 'tap'
import { repeatRefresh } from '../../../src/grants/oauth/repeat-refresh.ts'
import { TokenRefusal } from '../../../src/grants/oauth/token-refusal.ts'
import { UnknownOutcome } from '../../../src/grants/oauth/unknown-outcome.ts'
import { Problem } from '../../../src/problems/problem.ts'

const ASKED_AT = 1_000
const unknown = (cause: unknown, askedAt = ASKED_AT) => new UnknownOutcome(cause, askedAt)
const lost = (askedAt?: number) => unknown(new Problem('upstream-timeout', 'no answer'), askedAt)
const answered = (askedAt?: number) =>
  unknown(new Problem('upstream-unavailable', '503', { upstream: { status: 503 } }), askedAt)
const spent = () => new TokenRefusal('invalid-grant', 400, 'invalid_grant')

/** Questions that the test answers one by one. */
function questions() {
  const asked: PromiseWithResolvers<string>[] = []
  const ask = () => {
    const question = Promise.withResolvers<string>()
    asked.push(question)
    return question.promise
  }
  const until = async (count: number) => {
    while (asked.length < count) await new Promise(setImmediate)
  }
  return { asked, ask, until }
}

t.test('an answer that comes in time is the only one', async (t) => {
  const { asked, ask } = questions()
  const answer = repeatRefresh(ask, 60_000)

  asked[0]?.resolve('pair')

  t.equal(await answer, 'pair')
  t.equal(asked.length, 1)
})

t.test('a lost answer is asked for again at once, up to twice', async (t) => {
  for (const losses of [1, 2]) {
    const { asked, ask, until } = questions()
    const answer = repeatRefresh(ask, 60_000)
    for (let n = 0; n < losses; n += 1) {
      asked[n]?.reject(lost())
      await until(n + 2)
    }
    asked[losses]?.resolve('the same pair')
    t.equal(await answer, 'the same pair')
  }
})

t.test('a refusal, a 5xx and what was never sent are not asked again at once', async (t) => {
  for (const error of [spent(), answered(), new Problem('upstream-failed', 'not sent')]) {
    const { asked, ask } = questions()
    const answer = repeatRefresh(ask, 60_000)
    asked[0]?.reject(error)
    await t.rejects(answer, error)
    t.equal(asked.length, 1)
  }
})

t.test('after a silence it is asked once more, and once again, and any answer counts', async (t) => {
  for (const bringer of [0, 1, 2]) {
    const { asked, ask, until } = questions()
    const answer = repeatRefresh(ask, 1)
    await until(3)

    for (const n of [2, 1, 0]) if (n !== bringer) asked[n]?.reject(n === 2 ? spent() : lost())
    asked[bringer]?.resolve('pair')

    t.equal(await answer, 'pair')
    t.equal(asked.length, 3)
  }
})

t.test('of several failures HighLevel’s word on the grant is what is told', async (t) => {
  const { asked, ask, until } = questions()
  const answer = repeatRefresh(ask, 1)
  await until(3)

  asked[0]?.reject(lost())
  asked[1]?.reject(spent())
  asked[2]?.reject(lost())

  await t.rejects(answer, { name: 'TokenRefusal', kind: 'invalid-grant' })
})

t.test('and it counts also behind a refusal that is about something else', async (t) => {
  const { asked, ask, until } = questions()
  const answer = repeatRefresh(ask, 1)
  await until(3)

  asked[0]?.reject(new TokenRefusal('refused', 401, 'Invalid client credentials!'))
  asked[1]?.reject(spent())
  asked[2]?.reject(lost())

  await t.rejects(answer, { name: 'TokenRefusal', kind: 'invalid-grant' })
})

t.test('a later failure that is known does not hide that an earlier one may have been carried out', async (t) => {
  const later = [
    new TokenRefusal('refused', 400, 'Something else'),
    new TokenRefusal('inactive', 400, 'Location is not active'),
    new Problem('upstream-unavailable', '429', { upstream: { status: 429 } }),
    new Problem('upstream-failed', 'No connection could be made')
  ]
  for (const failure of later) {
    const { asked, ask, until } = questions()
    const answer = repeatRefresh(ask, 60_000)
    asked[0]?.reject(lost())
    await until(2)
    asked[1]?.reject(failure)
    const cause = failure instanceof TokenRefusal ? failure : { code: 'upstream-timeout' }
    await t.rejects(answer, { name: 'UnknownOutcome', askedAt: ASKED_AT, cause })
  }
})

t.test('of several that may have been carried out the latest counts', async (t) => {
  const { asked, ask, until } = questions()
  const answer = repeatRefresh(ask, 60_000)
  asked[0]?.reject(lost(1_000))
  await until(2)
  asked[1]?.reject(answered(2_000))
  await t.rejects(answer, { name: 'UnknownOutcome', askedAt: 2_000 })
})
