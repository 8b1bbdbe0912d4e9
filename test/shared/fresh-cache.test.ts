import t from 'tap'
import { createFreshCache } from '../../src/shared/fresh-cache.ts'
import { createClock } from '../support/clock.ts'

const MAX_AGE_MS = 1_000
const outage = new Error('the source is down')

function setup(maxEntries = 100) {
  const clock = createClock()
  const stale: unknown[] = []
  const options = { maxAgeMs: MAX_AGE_MS, maxEntries, clock, onStale: (error: unknown) => stale.push(error) }
  return { clock, stale, cache: createFreshCache<string>(options) }
}

/** A source that records its reads and answers when the test says so. */
function slowSource() {
  const reads: PromiseWithResolvers<string | undefined>[] = []
  return {
    reads,
    load: () => {
      const read = Promise.withResolvers<string | undefined>()
      reads.push(read)
      return read.promise
    }
  }
}

const never = () => Promise.reject(new Error('an unnecessary read'))

t.test('a fresh value is returned at once, without a promise and without a read', async (t) => {
  const { cache, clock } = setup()
  t.equal(await cache.get('a', async () => 'one'), 'one')

  clock.move(MAX_AGE_MS - 1)

  t.equal(cache.get('a', never), 'one')
  t.equal(cache.peek('a'), 'one')
})

t.test('a stale value is reloaded before it is used', async (t) => {
  const { cache, clock } = setup()
  cache.put('a', 'one')

  clock.move(MAX_AGE_MS)

  t.equal(cache.peek('a'), undefined)
  t.equal(await cache.get('a', async () => 'two'), 'two')
  t.equal(cache.get('a', never), 'two')
})

t.test(
  'if a reload fails, the cached value stays in use for another maxAge, and the failure is reported',
  async (t) => {
    const { cache, clock, stale } = setup()
    cache.put('a', 'one')
    clock.move(MAX_AGE_MS)

    t.equal(await cache.get('a', () => Promise.reject(outage)), 'one')

    t.strictSame(stale, [outage])
    t.equal(cache.get('a', never), 'one')
    clock.move(MAX_AGE_MS)
    t.equal(await cache.get('a', async () => 'two'), 'two')
  }
)

t.test('without a cached value the caller gets the source’s failure, which is not cached', async (t) => {
  const { cache, stale } = setup()

  await t.rejects(Promise.resolve(cache.get('a', () => Promise.reject(outage))), outage)

  t.strictSame(stale, [])
  t.equal(await cache.get('a', async () => 'one'), 'one')
})

t.test('a missing value is not cached, and removes the cached one', async (t) => {
  const { cache, clock } = setup()

  t.equal(await cache.get('a', async () => undefined), undefined)
  t.equal(await cache.get('a', async () => 'one'), 'one')
  clock.move(MAX_AGE_MS)
  t.equal(await cache.get('a', async () => undefined), undefined)

  t.equal(cache.peek('a'), undefined)
  await t.rejects(Promise.resolve(cache.get('a', () => Promise.reject(outage))), outage)
})

t.test('the cache stays within its limit, and drops the entry read longest ago first', async (t) => {
  const { cache, clock } = setup(2)
  cache.put('a', 'one')
  cache.put('b', 'two')
  clock.move(MAX_AGE_MS)
  await cache.get('a', async () => 'one again')

  cache.put('c', 'three')

  t.strictSame([cache.peek('a'), cache.peek('b'), cache.peek('c')], ['one again', undefined, 'three'])
})

t.test('putting a key twice takes one entry', async (t) => {
  const { cache } = setup(2)

  for (const value of ['one', 'two', 'three']) cache.put('a', value)
  cache.put('b', 'four')

  t.strictSame([cache.peek('a'), cache.peek('b')], ['three', 'four'])
})

t.test('concurrent calls for a key share one read, and other keys have their own', async (t) => {
  const { cache } = setup()
  const { reads, load } = slowSource()

  const answers = [cache.get('a', load), cache.get('a', load), cache.get('b', load)]
  reads[0]?.resolve('one')
  reads[1]?.resolve('two')

  t.strictSame(await Promise.all(answers), ['one', 'one', 'two'])
  t.equal(reads.length, 2)
})

for (const isCached of [true, false]) {
  const state = isCached ? 'a stale entry' : 'an unknown key'

  const setupRead = () => {
    const made = setup()
    if (isCached) made.cache.put('a', 'old')
    made.clock.move(MAX_AGE_MS)
    const { reads, load } = slowSource()
    return { ...made, reads, answer: Promise.resolve(made.cache.get('a', load)) }
  }

  t.test(`a value put while ${state} is read wins over the value read`, async (t) => {
    const { cache, reads, answer } = setupRead()

    cache.put('a', 'put')
    reads[0]?.resolve('read')

    t.equal(await answer, 'put')
    t.equal(cache.peek('a'), 'put')
  })

  t.test(`a drop while ${state} is read causes another read`, async (t) => {
    const { cache, reads, answer } = setupRead()

    cache.drop('a')
    reads[0]?.resolve('read before the drop')
    while (reads.length === 1) await new Promise(setImmediate)
    reads[1]?.resolve(undefined)

    t.equal(await answer, undefined)
    t.equal(cache.peek('a'), undefined)
  })

  t.test(`a value put while a read of ${state} fails is returned to the caller`, async (t) => {
    const { cache, reads, answer } = setupRead()

    cache.put('a', 'put')
    reads[0]?.reject(outage)

    t.equal(await answer, 'put')
    t.equal(cache.peek('a'), 'put')
  })
}

t.test('an entry evicted during its reload is still returned to the caller', async (t) => {
  const { cache, clock } = setup(1)
  cache.put('a', 'old')
  clock.move(MAX_AGE_MS)
  const { reads, load } = slowSource()
  const answer = cache.get('a', load)

  cache.put('b', 'other')
  reads[0]?.resolve('new')

  t.equal(await answer, 'new')
})

t.test('a slow reload is waited for only briefly, and then the cached value is used until it ends', async (t) => {
  const { cache, clock } = setup()
  cache.put('a', 'old')
  clock.move(MAX_AGE_MS)
  const { reads, load } = slowSource()
  const answer = cache.get('a', load)

  await clock.pass(250)

  t.equal(await answer, 'old')
  t.equal(cache.get('a', never), 'old', 'it counts as fresh meanwhile')
  reads[0]?.resolve('new')
  await clock.pass(0)
  t.equal(cache.peek('a'), 'new')
})
