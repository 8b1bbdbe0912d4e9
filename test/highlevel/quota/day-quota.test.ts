import t from 'tap'
import type { Answer } from '../../../src/highlevel/call.ts'
import { dayHasRoom, dayLeft, rollOverDay, untilDayEndMs } from '../../../src/highlevel/quota/day-quota.ts'
import { learn } from '../../../src/highlevel/quota/learned-limits.ts'
import { createLearnedLimits, type Permit } from '../../../src/highlevel/quota/limits.ts'

const HOUR_MS = 3_600_000
const LIMITS = { burstMax: 100, windowMs: 10_000, dayMax: 1_000 }
const at = (hours: number) => Date.UTC(2026, 0, 1) + hours * HOUR_MS

/** An answer with the calls left today, and the hours until the day ends. */
const answer = (left: number | undefined, hours?: number, status = 200, max = '1000'): Answer => ({
  status,
  headers: {
    'x-ratelimit-limit-daily': max,
    ...(left !== undefined && { 'x-ratelimit-daily-remaining': String(left) }),
    ...(hours !== undefined && { 'x-ratelimit-daily-reset': String(Math.round(hours * HOUR_MS)) })
  },
  body: Buffer.alloc(0)
})

/** Limits at `hours` into the day. */
function openDay(hours: number) {
  const limits = createLearnedLimits(LIMITS)
  rollOverDay(limits, at(hours))
  const take = (): Permit => {
    limits.dayUsed += 1
    return { windowUsed: 1, dayUsed: limits.dayUsed, day: limits.day }
  }
  return { limits, take }
}

t.test('a used-up day stays used up until HighLevel’s day ends, and not a minute longer', (t) => {
  const { limits, take } = openDay(10)
  learn(limits, take(), answer(0, 4.5, 429), 0, at(10))

  t.equal(untilDayEndMs(at(10), limits.dayEndsAt), 4.5 * HOUR_MS)
  rollOverDay(limits, at(14.4))
  t.notOk(dayHasRoom(limits, 1))
  rollOverDay(limits, at(14.5))
  t.ok(dayHasRoom(limits, 2))
  t.equal(dayLeft(limits), 1_000)
  t.equal(untilDayEndMs(at(14.5), limits.dayEndsAt), 24 * HOUR_MS)
  t.end()
})

t.test('with a clock that is ahead, the end of a used-up day is not taken for that of the next', (t) => {
  const { limits, take } = openDay(23)
  const SECOND = 1 / 3_600
  learn(limits, take(), answer(0, 1 + 2 * SECOND, 429), 0, at(23))
  rollOverDay(limits, at(24))

  learn(limits, take(), answer(0, 2 * SECOND, 429), HOUR_MS, at(24))

  rollOverDay(limits, at(24 + SECOND))
  t.notOk(dayHasRoom(limits, HOUR_MS + 1_000), 'HighLevel’s day goes on')
  rollOverDay(limits, at(24 + 2 * SECOND))
  t.equal(dayLeft(limits), 1_000)
  t.end()
})

t.test('midnight does not end a day that goes on at HighLevel', (t) => {
  const { limits, take } = openDay(10)
  learn(limits, take(), answer(0, 20, 429), 0, at(10))

  rollOverDay(limits, at(24))

  t.notOk(dayHasRoom(limits, 1))
  t.end()
})

t.test('the calls left count again as soon as the end of the day is known', (t) => {
  const { limits, take } = openDay(10)
  learn(limits, take(), answer(500, 4.5), 0, at(10))
  learn(limits, take(), answer(499, 4.5), 1, at(10))

  t.equal(dayLeft(limits), 499)
  rollOverDay(limits, at(10.1))
  t.equal(dayLeft(limits), 499)
  t.end()
})

t.test('late answers do not move the end of the day', (t) => {
  const { limits, take } = openDay(10)
  learn(limits, take(), answer(500, 4.5), 0, at(10))
  const { dayEndsAt, day } = limits

  learn(limits, take(), answer(499, 4.5), 1, at(10) + 4_000)
  rollOverDay(limits, at(14.5) - 1)
  learn(limits, take(), answer(498, 24), 1, at(14.5) - 1)

  t.match(limits, { dayEndsAt, day })
  t.end()
})

t.test('an answer to a call of the day before does not change when this day ends', (t) => {
  const { limits, take } = openDay(10)
  learn(limits, take(), answer(500, 4.5), 0, at(10))
  const old = take()
  rollOverDay(limits, at(14.5))

  learn(limits, old, answer(0, 0.01, 429), 1, at(14.51))

  t.equal(untilDayEndMs(at(14.5), limits.dayEndsAt), 24 * HOUR_MS)
  t.ok(dayHasRoom(limits, 2))
  t.end()
})

t.test('a day size without the calls left never blocks a location', (t) => {
  for (const [left, max] of [
    [undefined, '1'],
    [undefined, '16'],
    [500, '0x10']
  ] as const) {
    const { limits, take } = openDay(10)
    for (let n = 0; n < 20; n += 1) learn(limits, take(), answer(left, undefined, 200, max), n, at(10))

    t.ok(dayHasRoom(limits, 21), max)
    t.equal(limits.dayMax, 1_000)
  }
  t.end()
})

t.test('when its end is unknown or invalid, a day ends at midnight UTC', (t) => {
  for (const hours of [undefined, 25]) {
    const { limits, take } = openDay(10)
    learn(limits, take(), answer(0, hours, 429), 0, at(10))

    t.equal(untilDayEndMs(at(10), limits.dayEndsAt), 14 * HOUR_MS)
    rollOverDay(limits, at(24))
    t.ok(dayHasRoom(limits, 1))
  }
  t.end()
})
