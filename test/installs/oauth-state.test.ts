import t from 'tap'
import { createStateSigner } from '../../src/installs/oauth-state.ts'
import { createClock } from '../support/clock.ts'

const key = (id: string, fill: number) => ({ id, bytes: Buffer.alloc(32, fill) })
const MINUTE_MS = 60_000

t.test('an issued state is valid for fifteen minutes and not a millisecond longer', async (t) => {
  const clock = createClock()
  const { issue, isValid } = createStateSigner([key('k1', 1)], clock)
  const state = issue()

  t.equal(isValid(state), true)
  clock.move(15 * MINUTE_MS - 1)
  t.equal(isValid(state), true)
  clock.move(1)
  t.equal(isValid(state), false)
})

t.test('a state needs no escaping in a URL, and no two are equal', async (t) => {
  const { issue } = createStateSigner([key('k1', 1)], createClock())

  const states = Array.from({ length: 1_000 }, issue)

  t.equal(new Set(states).size, 1_000)
  for (const state of states.slice(0, 10)) t.equal(encodeURIComponent(state), state)
})

t.test('a state with any part changed is refused', async (t) => {
  const clock = createClock()
  const { issue, isValid } = createStateSigner([key('k1', 1)], clock)
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
  const { isValid } = createStateSigner([key('k1', 1)], clock)
  const foreign = createStateSigner([key('k1', 2)], clock).issue()

  for (const text of [foreign, '', '.', '..', '...', 'x', 'zzzzzzzz.a.b', 'NaN.x.', 'ä'.repeat(512)])
    t.equal(isValid(text), false, text)
})

t.test('a key rotation breaks no install in progress while the old key is configured', async (t) => {
  const clock = createClock()
  const state = createStateSigner([key('old', 1)], clock).issue()

  t.equal(createStateSigner([key('new', 2), key('old', 1)], clock).isValid(state), true)
  t.equal(createStateSigner([key('new', 2)], clock).isValid(state), false)
})

t.test('the first key signs: a replica with only the old key refuses a state from a rotated one', async (t) => {
  const clock = createClock()
  const state = createStateSigner([key('new', 2), key('old', 1)], clock).issue()

  t.equal(createStateSigner([key('old', 1)], clock).isValid(state), false)
  t.equal(createStateSigner([key('new', 2)], clock).isValid(state), true)
})

t.test('without a key no state is issued and none is valid', async (t) => {
  const { issue, isValid } = createStateSigner([], createClock())

  t.throws(issue, { message: 'There is no key to sign with' })
  t.equal(isValid('zzzzzzzz.a.'), false)
})
