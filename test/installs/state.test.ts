import t from 'tap'
import { createStates } from '../../src/installs/state.ts'
import { createClock } from '../support/harness.ts'

const key = (id: string, fill: number) => ({ id, bytes: Buffer.alloc(32, fill) })
const MINUTE_MS = 60_000

t.test('a state that was issued is valid for fifteen minutes, and not a millisecond longer', async (t) => {
  const clock = createClock()
  const { issue, isValid } = createStates([key('k1', 1)], clock.now)
  const state = issue()

  t.equal(isValid(state), true)
  clock.move(15 * MINUTE_MS - 1)
  t.equal(isValid(state), true)
  clock.move(1)
  t.equal(isValid(state), false)
})

t.test('a state travels in a URL as it is, and no two are alike', async (t) => {
  const { issue } = createStates([key('k1', 1)], createClock().now)

  const states = Array.from({ length: 1_000 }, issue)

  t.equal(new Set(states).size, 1_000)
  for (const state of states.slice(0, 10)) t.equal(encodeURIComponent(state), state)
})

t.test('a state of which any part was changed is refused', async (t) => {
  const clock = createClock()
  const { issue, isValid } = createStates([key('k1', 1)], clock.now)
  const state = issue()
  const [expiry = '', nonce = '', signature = ''] = state.split('.')
  const later = (Number.parseInt(expiry, 36) + 60 * MINUTE_MS).toString(36)

  const changed = [
    `${later}.${nonce}.${signature}`,
    `${expiry}.${nonce.slice(1)}.${signature}`,
    `${expiry}.${nonce}.${signature.slice(0, -2)}`,
    `${expiry}.${nonce}.${signature}AA`,
    `${expiry}.${nonce}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
    `${expiry}.${signature}.${nonce}`,
    `${state}.more`,
    `${expiry}.${nonce}`,
    `${expiry}.${nonce}.`
  ]

  for (const text of changed) t.equal(isValid(text), false, text)
  t.equal(isValid(state), true, 'the unchanged one')
})

t.test('a state of another gateway and plain garbage are refused', async (t) => {
  const clock = createClock()
  const { isValid } = createStates([key('k1', 1)], clock.now)
  const foreign = createStates([key('k1', 2)], clock.now).issue()

  for (const text of [foreign, '', '.', '..', '...', 'x', 'zzzzzzzz.a.b', 'NaN.x.', 'ä'.repeat(512)])
    t.equal(isValid(text), false, text)
})

t.test('a key rotation breaks no install under way, until the old key leaves', async (t) => {
  const clock = createClock()
  const state = createStates([key('old', 1)], clock.now).issue()

  t.equal(createStates([key('new', 2), key('old', 1)], clock.now).isValid(state), true)
  t.equal(createStates([key('new', 2)], clock.now).isValid(state), false)
})

t.test('the first key signs, so that a replica with the old key alone refuses what a rotated one issued', async (t) => {
  const clock = createClock()
  const state = createStates([key('new', 2), key('old', 1)], clock.now).issue()

  t.equal(createStates([key('old', 1)], clock.now).isValid(state), false)
  t.equal(createStates([key('new', 2)], clock.now).isValid(state), true)
})

t.test('without a key nothing is issued and nothing is valid', async (t) => {
  const { issue, isValid } = createStates([], createClock().now)

  t.throws(issue, { message: 'No key to sign with' })
  t.equal(isValid('zzzzzzzz.a.'), false)
})
