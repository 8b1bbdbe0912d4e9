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

/** The largest number of `times` in any one window. */
function busiest(times: number[]): number {
  const sorted = times.toSorted((a, b) => a - b)
  let most = 0
  for (const [first, start] of sorted.entries()) {
    const end = sorted.findIndex((time) => time >= start + WINDOW_MS)
    most = Math.max(most, (end === -1 ? sorted.length : end) - first)
  }
  return most
}

t.test('whatever the latency of each call, no window ever holds more calls than permits', (t) => {
  // Each call comes `gap` after the one before, takes `latency`, and is counted at `share` of it.
  const calls = fc.array(
    fc.record({ gap: fc.nat(400), latency: fc.nat(900), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
    { minLength: 50, maxLength: 200 }
  )
  fc.assert(
    fc.property(calls, fc.integer({ min: 1, max: 12 }), (calls, limit) => {
      const log = createWindowLog()
      const pending: number[] = []
      const counted: number[] = []
      let at = 0
      const settleUntil = (time: number) => {
        pending.sort((a, b) => a - b)
        while ((pending[0] ?? Number.POSITIVE_INFINITY) <= time) recordAnswered(log, WINDOW_MS, pending.shift() ?? 0)
      }
      for (const { gap, latency, share } of calls) {
        at += gap
        settleUntil(at)
        dropExpired(log, WINDOW_MS, at)
        if (usedOf(log) >= limit) continue
        log.pending += 1
        pending.push(at + latency)
        counted.push(at + latency * share)
      }

      return busiest(counted) <= limit && usedOf(log) <= limit
    })
  )
  t.pass()
  t.end()
})

t.test('a permit is free one window after the answer, plus at most a thousandth', (t) => {
  const log = createWindowLog()
  for (const at of [100, 400, 400.5, 900]) {
    log.pending += 1
    recordAnswered(log, WINDOW_MS, at)
  }
  log.pending += 1

  t.equal(usedOf(log), 5)
  t.strictSame(
    [0, 1, 2, 3, 4].map((n) => expiresAt(log, n, WINDOW_MS)),
    [1_101, 1_401, 1_401, 1_901, undefined]
  )
  dropExpired(log, WINDOW_MS, 1_401)
  t.equal(usedOf(log), 2)
  dropExpired(log, WINDOW_MS, 10_000)
  t.equal(usedOf(log), 1, 'a pending call does not expire')
  t.end()
})

t.test('however many calls a window holds, they are kept in a thousand entries', (t) => {
  const log = createWindowLog()
  for (let i = 0; i < 100_000; i += 1) {
    log.pending += 1
    recordAnswered(log, WINDOW_MS, i / 50)
    dropExpired(log, WINDOW_MS, i / 50)
  }

  t.ok(usedOf(log) >= 50_000 && usedOf(log) <= 50_050)
  t.ok(log.times.length < 1_600)
  t.end()
})
