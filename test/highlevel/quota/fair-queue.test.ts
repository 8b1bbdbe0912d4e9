import t from 'tap'
import { createFairQueue } from '../../../src/highlevel/quota/fair-queue.ts'

const queueOf = (text: string) => {
  const queue = createFairQueue<{ callerId: string; n: number }>()
  for (const [n, callerId] of [...text].entries()) queue.push({ callerId, n })
  return queue
}
const drain = (queue: ReturnType<typeof queueOf>): string => {
  let order = ''
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) order += `${next.callerId}${next.n} `
  return order.trim()
}

t.test('callers are served in turn, each caller’s calls in order of arrival', (t) => {
  t.equal(drain(queueOf('aaaabbc')), 'a0 b4 c6 a1 b5 a2 a3')
  t.end()
})

t.test('a caller can ask how many entries would be served before a new one', (t) => {
  const queue = queueOf('aaaaaaaaaabb')

  t.strictSame([queue.ahead('c'), queue.ahead('b'), queue.ahead('a')], [2, 5, 12])
  queue.push({ callerId: 'c', n: 12 })
  const order = drain(queue).split(' ')
  t.ok(order.indexOf('c12') <= 2)
  t.end()
})

t.test('a repeated call goes to the head of the queue', (t) => {
  const queue = queueOf('aabb')
  queue.unshift({ callerId: 'b', n: 9 })

  t.equal(queue.size, 5)
  t.equal(drain(queue), 'b9 a0 b2 a1 b3')
  t.end()
})

t.test('a removed entry is not served, and the size stays right', (t) => {
  const queue = createFairQueue<{ callerId: string; n: number }>()
  const [first, second] = [
    { callerId: 'a', n: 1 },
    { callerId: 'b', n: 2 }
  ]
  queue.push(first)
  queue.push(second)
  queue.remove(first)
  queue.remove(first)

  t.equal(queue.size, 1)
  t.equal(drain(queue), 'b2')
  t.equal(queue.size, 0)
  t.equal(queue.shift(), undefined)
  t.end()
})

t.test('a full queue makes room for a caller with few entries, at the cost of the one with the most', (t) => {
  const queue = queueOf('aaab')

  t.strictSame(queue.makeRoom('c'), { callerId: 'a', n: 2 })
  t.equal(queue.makeRoom('a'), undefined, 'not for the caller with the most')
  t.equal(queue.makeRoom('b'), undefined, 'not when it would only swap who has more')
  t.equal(drain(queue), 'a0 b3 a1')
  t.end()
})
