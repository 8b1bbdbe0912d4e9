import t from 'tap'
import type { Answer } from '../../../src/highlevel/call.ts'
import { dayHasRoom, dayLeft, rollOverDay } from '../../../src/highlevel/quota/day-quota.ts'
import { burstLimit, learn as learnAt, updateOthersUsage } from '../../../src/highlevel/quota/learned-limits.ts'
import { createLearnedLimits, type LearnedLimits, type Permit } from '../../../src/highlevel/quota/limits.ts'

const LIMITS = { burstMax: 100, windowMs: 10_000, dayMax: 1_000 }

const answer = (headers: Record<string, string>, status = 200): Answer => ({ status, headers, body: Buffer.alloc(0) })
const burst = (left: number, max = 100) => ({ 'x-ratelimit-max': String(max), 'x-ratelimit-remaining': String(left) })
const day = (left: number) => ({ 'x-ratelimit-daily-remaining': String(left) })
/** At the beginning of 1970, unless told otherwise. */
const learn = (limits: LearnedLimits, permit: Permit, reply: Answer, at: number, now = 0) =>
  learnAt(limits, permit, reply, at, now)
const permit = (windowUsed: number, dayUsed: number): Permit => ({ windowUsed, dayUsed, day: 0 })

/** The limits of a location that was granted this many permits today. */
const withDayUsed = (dayUsed: number) => ({ ...createLearnedLimits(LIMITS), dayUsed })

t.test('what HighLevel counts beyond our own calls is other clients’ usage, and is reserved for them', (t) => {
  const limits = withDayUsed(10)

  learn(limits, permit(10, 10), answer(burst(40)), 0)
  updateOthersUsage(limits, 0)

  // HighLevel counts 60, of which 10 are ours: 50 and a margin are reserved.
  t.equal(burstLimit(limits), 47)
  t.end()
})

t.test('calls that may have been counted since are not taken for other clients’', (t) => {
  const limits = withDayUsed(30)

  learn(limits, permit(10, 10), answer(burst(70)), 0)
  updateOthersUsage(limits, 0)

  t.equal(burstLimit(limits), 100)
  t.end()
})

t.test('other clients that our own calls may hide are expected to return for two windows', (t) => {
  const limits = withDayUsed(1)
  const see = (left: number, at: number, used = 1) => {
    limits.dayUsed = used
    learn(limits, permit(used, used), answer(burst(left)), at)
    updateOthersUsage(limits, at)
    return burstLimit(limits)
  }

  t.strictSame(
    [see(49, 0), see(40, 9_000, 60), see(40, 10_500, 60), see(40, 20_000, 60), see(40, 21_000, 60)],
    [47, 47, 47, 47, 100]
  )
  t.end()
})

t.test('what an answer shows to be free is not reserved', (t) => {
  const limits = withDayUsed(1)
  learn(limits, permit(1, 1), answer(burst(0), 429), 0)
  updateOthersUsage(limits, 0)
  t.equal(burstLimit(limits), 10, 'everything was in use')

  const isMore = learn(limits, permit(1, 1), answer(burst(89)), 1_000)
  updateOthersUsage(limits, 1_000)

  t.ok(isMore)
  t.equal(burstLimit(limits), 89, 'ten are other clients’, plus a margin')
  t.notOk(learn(limits, permit(1, 1), answer(burst(89)), 1_001))
  t.end()
})

t.test('a 429 shows nothing to be free', (t) => {
  const limits = withDayUsed(1)
  learn(limits, permit(1, 1), answer(burst(0), 429), 0)
  updateOthersUsage(limits, 0)

  learn(limits, permit(1, 1), answer(burst(99), 429), 1)
  updateOthersUsage(limits, 1)

  t.equal(burstLimit(limits), 10)
  t.end()
})

t.test('other clients never get the whole window', (t) => {
  const limits = withDayUsed(1)

  learn(limits, permit(1, 1), answer(burst(0)), 0)
  updateOthersUsage(limits, 0)

  t.equal(burstLimit(limits), 10)
  t.end()
})

t.test('the sizes of the window and of the day are learned from answers, nonsense is ignored', (t) => {
  const limits = withDayUsed(0)
  const sizes = (max: string, interval: string, daily: string) => ({
    'x-ratelimit-max': max,
    'x-ratelimit-interval-milliseconds': interval,
    'x-ratelimit-limit-daily': daily
  })

  learn(limits, permit(1, 1), answer({ ...sizes('25', '5000', '10000'), ...day(9_000) }), 0)
  t.match(limits, { burstMax: 25, windowMs: 5_000, dayMax: 10_000 })
  for (const odd of ['', ' ', 'many', '-1', '+5', '1e3', '0x10', '7.0', 'NaN', 'Infinity', '0']) {
    learn(limits, permit(1, 1), answer({ ...sizes(odd, odd, odd), ...day(1) }), 0)
  }
  t.match(limits, { burstMax: 25, windowMs: 5_000, dayMax: 10_000 })
  t.end()
})

t.test('what is left of the day follows HighLevel’s word, upwards and downwards', (t) => {
  const limits = withDayUsed(10)

  t.equal(dayLeft(limits), 990)
  learn(limits, permit(1, 8), answer(day(500)), 0)
  t.equal(dayLeft(limits), 498, 'two were taken since')
  limits.dayUsed = 20
  learn(limits, permit(1, 20), answer(day(900)), 0)
  t.equal(dayLeft(limits), 900)
  t.end()
})

t.test('a new day begins with no permits used, and an answer to a call of the old day does not change it', (t) => {
  const limits = withDayUsed(10)
  learn(limits, permit(1, 10), answer(day(0)), 0)
  t.notOk(dayHasRoom(limits, 0))

  rollOverDay(limits, 86_400_000)
  learn(limits, permit(1, 10), answer(day(0)), 0)

  t.equal(dayLeft(limits), 1_000)
  t.ok(dayHasRoom(limits, 0))
  t.end()
})

t.test('when HighLevel’s day may begin at another time, one call every 15 minutes finds out', (t) => {
  const limits = withDayUsed(10)
  learn(limits, permit(1, 10), answer(day(0)), 0)
  const minutes = (n: number) => n * 60_000

  t.strictSame(
    [0, 14, 15, 16].map((n) => {
      const room = dayHasRoom(limits, minutes(n))
      if (room) limits.dayUsed += 1
      return room
    }),
    [false, false, true, false]
  )
  t.end()
})

t.test('a 429 pauses as long as HighLevel asks, else longer each time; calls sent together count as one', (t) => {
  const limits = withDayUsed(1)
  const refuse = (at: number, headers = {}) => {
    learn(limits, permit(1, 1), answer(headers, 429), at)
    return limits.pausedUntil - at
  }

  t.equal(refuse(0), 1_000)
  t.equal(refuse(10), 990, 'sent together with the first')
  t.equal(refuse(1_000), 2_000)
  t.equal(refuse(3_000), 4_000)
  t.equal(refuse(7_000), 8_000)
  t.equal(refuse(15_000), 10_000, 'one window at most')
  learn(limits, permit(1, 1), answer({}), 25_000)
  t.equal(refuse(25_001), 1_000, 'a success resets the pauses')
  t.equal(refuse(30_000, { 'retry-after': '7' }), 7_000)
  t.equal(refuse(40_000, { 'retry-after': '0' }), 2_000)
  t.equal(refuse(45_000, { 'retry-after': '0.001' }), 4_000, 'only whole seconds are read')
  t.equal(refuse(50_000, { 'retry-after': '86400' }), 600_000, 'ten minutes at most, then one call tries')
  t.end()
})

t.test('a used-up day stays used up, however many calls are refused together', (t) => {
  const limits = withDayUsed(6)
  for (let n = 1; n <= 6; n += 1) {
    learn(limits, permit(n, n), answer(day(0), 429), 0)
    limits.dayUsed -= 1
  }

  t.ok(dayLeft(limits) <= 0)
  t.notOk(dayHasRoom(limits, 1))
  t.end()
})

t.test('after a 429 one call goes first', (t) => {
  const limits = withDayUsed(1)

  learn(limits, permit(1, 1), answer({}, 429), 0)
  t.equal(limits.trial, 'due')
  learn(limits, permit(1, 1), answer({}), 2_000)
  t.equal(limits.trial, 'none')
  t.end()
})
