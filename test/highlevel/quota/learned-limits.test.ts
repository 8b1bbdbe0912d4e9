import t from 'tap'
import type { Answer } from '../../../src/highlevel/call.ts'
import { dayHasRoom, dayLeft, rollOverDay } from '../../../src/highlevel/quota/day.ts'
import { burstLimit, learn as learnAt, updateOthersUsage } from '../../../src/highlevel/quota/learned-limits.ts'
import { createLearnedLimits, type LearnedLimits, type Permit } from '../../../src/highlevel/quota/limits.ts'

const LIMITS = { burstMax: 100, windowMs: 10_000, dayMax: 1_000 }

const said = (headers: Record<string, string>, status = 200): Answer => ({ status, headers, body: Buffer.alloc(0) })
const burst = (left: number, max = 100) => ({ 'x-ratelimit-max': String(max), 'x-ratelimit-remaining': String(left) })
const day = (left: number) => ({ 'x-ratelimit-daily-remaining': String(left) })
/** At the beginning of 1970, where nothing else is said. */
const learn = (allowance: LearnedLimits, place: Permit, answer: Answer, at: number, now = 0) =>
  learnAt(allowance, place, answer, at, now)
const place = (used: number, taken: number): Permit => ({ used, taken, day: 0 })

/** An allowance of which `taken` places were given today. */
const withTaken = (taken: number) => ({ ...createLearnedLimits(LIMITS), taken })

t.test('what HighLevel counts beyond our own is others’, and is left to them', (t) => {
  const allowance = withTaken(10)

  learn(allowance, place(10, 10), said(burst(40)), 0)
  updateOthersUsage(allowance, 0)

  // 60 are counted, of them 10 ours; others are left 50 and a little more.
  t.equal(burstLimit(allowance), 47)
  t.end()
})

t.test('calls that may have been counted since are not taken for others’', (t) => {
  const allowance = withTaken(30)

  learn(allowance, place(10, 10), said(burst(70)), 0)
  updateOthersUsage(allowance, 0)

  t.equal(burstLimit(allowance), 100)
  t.end()
})

t.test('others that our own calls may hide are expected to come again for two windows', (t) => {
  const allowance = withTaken(1)
  const see = (left: number, at: number, used = 1) => {
    allowance.taken = used
    learn(allowance, place(used, used), said(burst(left)), at)
    updateOthersUsage(allowance, at)
    return burstLimit(allowance)
  }

  t.strictSame(
    [see(49, 0), see(40, 9_000, 60), see(40, 10_500, 60), see(40, 20_000, 60), see(40, 21_000, 60)],
    [47, 47, 47, 47, 100]
  )
  t.end()
})

t.test('what an answer shows to be free is kept for nobody', (t) => {
  const allowance = withTaken(1)
  learn(allowance, place(1, 1), said(burst(0), 429), 0)
  updateOthersUsage(allowance, 0)
  t.equal(burstLimit(allowance), 10, 'all was in use')

  const isMore = learn(allowance, place(1, 1), said(burst(89)), 1_000)
  updateOthersUsage(allowance, 1_000)

  t.ok(isMore)
  t.equal(burstLimit(allowance), 89, 'ten are others’, and a little more')
  t.notOk(learn(allowance, place(1, 1), said(burst(89)), 1_001))
  t.end()
})

t.test('a refusal shows nothing to be free', (t) => {
  const allowance = withTaken(1)
  learn(allowance, place(1, 1), said(burst(0), 429), 0)
  updateOthersUsage(allowance, 0)

  learn(allowance, place(1, 1), said(burst(99), 429), 1)
  updateOthersUsage(allowance, 1)

  t.equal(burstLimit(allowance), 10)
  t.end()
})

t.test('others are never left everything', (t) => {
  const allowance = withTaken(1)

  learn(allowance, place(1, 1), said(burst(0)), 0)
  updateOthersUsage(allowance, 0)

  t.equal(burstLimit(allowance), 10)
  t.end()
})

t.test('the size of the window and of the day are taken from the answers, nonsense is not', (t) => {
  const allowance = withTaken(0)
  const sizes = (max: string, interval: string, daily: string) => ({
    'x-ratelimit-max': max,
    'x-ratelimit-interval-milliseconds': interval,
    'x-ratelimit-limit-daily': daily
  })

  learn(allowance, place(1, 1), said({ ...sizes('25', '5000', '10000'), ...day(9_000) }), 0)
  t.match(allowance, { burstMax: 25, windowMs: 5_000, dayMax: 10_000 })
  for (const odd of ['', ' ', 'many', '-1', '+5', '1e3', '0x10', '7.0', 'NaN', 'Infinity', '0']) {
    learn(allowance, place(1, 1), said({ ...sizes(odd, odd, odd), ...day(1) }), 0)
  }
  t.match(allowance, { burstMax: 25, windowMs: 5_000, dayMax: 10_000 })
  t.end()
})

t.test('what is left of the day follows HighLevel’s word, upwards and downwards', (t) => {
  const allowance = withTaken(10)

  t.equal(dayLeft(allowance), 990)
  learn(allowance, place(1, 8), said(day(500)), 0)
  t.equal(dayLeft(allowance), 498, 'two were taken since')
  allowance.taken = 20
  learn(allowance, place(1, 20), said(day(900)), 0)
  t.equal(dayLeft(allowance), 900)
  t.end()
})

t.test('a new day begins with nothing taken, and an answer of the old one says nothing of it', (t) => {
  const allowance = withTaken(10)
  learn(allowance, place(1, 10), said(day(0)), 0)
  t.notOk(dayHasRoom(allowance, 0))

  rollOverDay(allowance, 86_400_000)
  learn(allowance, place(1, 10), said(day(0)), 0)

  t.equal(dayLeft(allowance), 1_000)
  t.ok(dayHasRoom(allowance, 0))
  t.end()
})

t.test('where HighLevel’s day begins elsewhere, one call in a quarter of an hour finds out', (t) => {
  const allowance = withTaken(10)
  learn(allowance, place(1, 10), said(day(0)), 0)
  const minutes = (n: number) => n * 60_000

  t.strictSame(
    [0, 14, 15, 16].map((n) => {
      const room = dayHasRoom(allowance, minutes(n))
      if (room) allowance.taken += 1
      return room
    }),
    [false, false, true, false]
  )
  t.end()
})

t.test('a 429 is waited for as HighLevel says, else longer each time; those sent together count as one', (t) => {
  const allowance = withTaken(1)
  const refuse = (at: number, headers = {}) => {
    learn(allowance, place(1, 1), said(headers, 429), at)
    return allowance.pausedUntil - at
  }

  t.equal(refuse(0), 1_000)
  t.equal(refuse(10), 990, 'sent together with the first')
  t.equal(refuse(1_000), 2_000)
  t.equal(refuse(3_000), 4_000)
  t.equal(refuse(7_000), 8_000)
  t.equal(refuse(15_000), 10_000, 'a window at most')
  learn(allowance, place(1, 1), said({}), 25_000)
  t.equal(refuse(25_001), 1_000, 'what passes makes up for it')
  t.equal(refuse(30_000, { 'retry-after': '7' }), 7_000)
  t.equal(refuse(40_000, { 'retry-after': '0' }), 2_000)
  t.equal(refuse(45_000, { 'retry-after': '0.001' }), 4_000, 'whole seconds')
  t.equal(refuse(50_000, { 'retry-after': '86400' }), 600_000, 'ten minutes, then one call asks')
  t.end()
})

t.test('a day that is used up is over, however many calls were refused together', (t) => {
  const allowance = withTaken(6)
  for (let n = 1; n <= 6; n += 1) {
    learn(allowance, place(n, n), said(day(0), 429), 0)
    allowance.taken -= 1
  }

  t.ok(dayLeft(allowance) <= 0)
  t.notOk(dayHasRoom(allowance, 1))
  t.end()
})

t.test('after a refusal one call goes first', (t) => {
  const allowance = withTaken(1)

  learn(allowance, place(1, 1), said({}, 429), 0)
  t.equal(allowance.proof, 'due')
  learn(allowance, place(1, 1), said({}), 2_000)
  t.equal(allowance.proof, 'none')
  t.end()
})
