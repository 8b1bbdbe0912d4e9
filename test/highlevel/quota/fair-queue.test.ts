import t from 'tap'
import { createFairQueue } from '../../../src/highlevel/quota/fair-queue.ts'

const line = (text: string) => {
  const made = createFairQueue<{ callerId: string; n: number }>()
  for (const [n, callerId] of [...text].entries()) made.push({ callerId, n })
  return made
}
const drain = (from: ReturnType<typeof line>): string => {
  let order = ''
  for (let next = from.shift(); next !== undefined; next = from.shift()) order += `${next.callerId}${next.n} `
  return order.trim()
}

t.test('callers are served in turn, each caller’s calls in order of arrival', (t) => {
  t.equal(drain(line('aaaabbc')), 'a0 b4 c6 a1 b5 a2 a3')
  t.end()
})

t.test('who comes anew is told how many are served before', (t) => {
  const made = line('aaaaaaaaaabb')

  t.strictSame([made.ahead('c'), made.ahead('b'), made.ahead('a')], [2, 5, 12])
  made.push({ callerId: 'c', n: 12 })
  const order = drain(made).split(' ')
  t.ok(order.indexOf('c12') <= 2)
  t.end()
})

t.test('what comes again goes ahead of everyone', (t) => {
  const made = line('aabb')
  made.unshift({ callerId: 'b', n: 9 })

  t.equal(made.size, 5)
  t.equal(drain(made), 'b9 a0 b2 a1 b3')
  t.end()
})

t.test('whoever leaves is not served, and the line is as long as it says', (t) => {
  const made = createFairQueue<{ callerId: string; n: number }>()
  const [first, second] = [
    { callerId: 'a', n: 1 },
    { callerId: 'b', n: 2 }
  ]
  made.push(first)
  made.push(second)
  made.remove(first)
  made.remove(first)

  t.equal(made.size, 1)
  t.equal(drain(made), 'b2')
  t.equal(made.size, 0)
  t.equal(made.shift(), undefined)
  t.end()
})

t.test('a full line makes room for who has less in it, at the cost of who has the most', (t) => {
  const made = line('aaab')

  t.strictSame(made.makeRoom('c'), { callerId: 'a', n: 2 })
  t.equal(made.makeRoom('a'), undefined, 'not for the one who has the most')
  t.equal(made.makeRoom('b'), undefined, 'not where it would only change who has more')
  t.equal(drain(made), 'a0 b3 a1')
  t.end()
})
