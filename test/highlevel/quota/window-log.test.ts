import fc from 'fast-check'
import t from 'tap'
import {
  createWindowLog,
  dropExpired,
  expiresAt,
  recordAnswered,
  usedOf
} from '../../../src/highlevel/quota/window-log.ts'

const WINDOW_MS = 1_000

/** The most of `times` that lie in any one window. */
function busiest(times: number[]): number {
  const sorted = times.toSorted((a, b) => a - b)
  let most = 0
  for (const [first, start] of sorted.entries()) {
    const end = sorted.findIndex((time) => time >= start + WINDOW_MS)
    most = Math.max(most, (end === -1 ? sorted.length : end) - first)
  }
  return most
}

t.test('whenever the wire delivers a call, no window ever holds more calls than places', (t) => {
  // Each call comes `gap` after the one before if it can, takes `latency`, and is counted somewhere in between.
  const calls = fc.array(
    fc.record({ gap: fc.nat(400), latency: fc.nat(900), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
    { minLength: 50, maxLength: 200 }
  )
  fc.assert(
    fc.property(calls, fc.integer({ min: 1, max: 12 }), (calls, limit) => {
      const spent = createWindowLog()
      const pending: number[] = []
      const counted: number[] = []
      let at = 0
      const settleUntil = (time: number) => {
        pending.sort((a, b) => a - b)
        while ((pending[0] ?? Number.POSITIVE_INFINITY) <= time) recordAnswered(spent, WINDOW_MS, pending.shift() ?? 0)
      }
      for (const { gap, latency, share } of calls) {
        at += gap
        settleUntil(at)
        dropExpired(spent, WINDOW_MS, at)
        if (usedOf(spent) >= limit) continue
        spent.pending += 1
        pending.push(at + latency)
        counted.push(at + latency * share)
      }

      return busiest(counted) <= limit && usedOf(spent) <= limit
    })
  )
  t.pass()
  t.end()
})

t.test('a place is free one window after its answer, give or take a thousandth', (t) => {
  const spent = createWindowLog()
  for (const at of [100, 400, 400.5, 900]) {
    spent.pending += 1
    recordAnswered(spent, WINDOW_MS, at)
  }
  spent.pending += 1

  t.equal(usedOf(spent), 5)
  t.strictSame(
    [0, 1, 2, 3, 4].map((n) => expiresAt(spent, n, WINDOW_MS)),
    [1_101, 1_401, 1_401, 1_901, undefined]
  )
  dropExpired(spent, WINDOW_MS, 1_401)
  t.equal(usedOf(spent), 2)
  dropExpired(spent, WINDOW_MS, 10_000)
  t.equal(usedOf(spent), 1, 'what is not answered is not forgotten')
  t.end()
})

t.test('however many calls a window holds, they are kept in a thousand entries', (t) => {
  const spent = createWindowLog()
  for (let i = 0; i < 100_000; i += 1) {
    spent.pending += 1
    recordAnswered(spent, WINDOW_MS, i / 50)
    dropExpired(spent, WINDOW_MS, i / 50)
  }

  t.ok(usedOf(spent) >= 50_000 && usedOf(spent) <= 50_050)
  t.ok(spent.times.length < 1_600)
  t.end()
})
