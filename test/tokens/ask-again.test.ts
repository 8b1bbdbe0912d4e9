import t from 'tap'
import { Problem } from '../../src/problems.ts'
import { askAgain } from '../../src/tokens/ask-again.ts'
import { TokenRefusal } from '../../src/tokens/token-refusal.ts'

const lost = () => new Problem('upstream-timeout', 'no answer')
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
  const answer = askAgain(ask, 60_000)

  asked[0]?.resolve('pair')

  t.equal(await answer, 'pair')
  t.equal(asked.length, 1)
})

t.test('a lost answer is asked for again at once, and a refusal is not', async (t) => {
  for (const error of [lost(), new Problem('deadline-exceeded', 'x'), new Problem('upstream-failed', 'x')]) {
    const { asked, ask, until } = questions()
    const answer = askAgain(ask, 60_000)
    asked[0]?.reject(error)
    await until(2)
    asked[1]?.resolve('the same pair')
    t.equal(await answer, 'the same pair')
  }
  for (const error of [spent(), new Problem('upstream-unavailable', '503')]) {
    const { asked, ask } = questions()
    const answer = askAgain(ask, 60_000)
    asked[0]?.reject(error)
    await t.rejects(answer, error)
    t.equal(asked.length, 1)
  }
})

t.test('after a silence it is asked a second time, and either answer counts', async (t) => {
  for (const first of [0, 1]) {
    const { asked, ask, until } = questions()
    const answer = askAgain(ask, 1)
    await until(2)

    asked[1 - first]?.reject(first === 0 ? spent() : lost())
    asked[first]?.resolve('pair')

    t.equal(await answer, 'pair')
    t.equal(asked.length, 2)
  }
})

t.test('of two failures HighLevel’s own word is what is told', async (t) => {
  const { asked, ask, until } = questions()
  const answer = askAgain(ask, 1)
  await until(2)

  asked[0]?.reject(lost())
  asked[1]?.reject(spent())

  await t.rejects(answer, { name: 'TokenRefusal', kind: 'invalid-grant' })
})
