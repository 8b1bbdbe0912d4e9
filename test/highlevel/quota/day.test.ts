import t from 'tap'
import type { Answer } from '../../../src/highlevel/call.ts'
import { dayHasRoom, dayLeft, rollOverDay, untilDayEndMs } from '../../../src/highlevel/quota/day.ts'
import { learn } from '../../../src/highlevel/quota/learned-limits.ts'
import { createLearnedLimits, type Permit } from '../../../src/highlevel/quota/limits.ts'

const HOUR_MS = 3_600_000
const LIMITS = { burstMax: 100, windowMs: 10_000, dayMax: 1_000 }
const at = (hours: number) => Date.UTC(2026, 0, 1) + hours * HOUR_MS

/** An answer that says what is left of the day, and in how many hours it ends. */
const said = (left: number | undefined, hours?: number, status = 200, max = '1000'): Answer => ({
  status,
  headers: {
    'x-ratelimit-limit-daily': max,
    ...(left !== undefined && { 'x-ratelimit-daily-remaining': String(left) }),
    ...(hours !== undefined && { 'x-ratelimit-daily-reset': String(Math.round(hours * HOUR_MS)) })
  },
  body: Buffer.alloc(0)
})

/** An allowance as it is `hours` into the day. */
function open(hours: number) {
  const allowance = createLearnedLimits(LIMITS)
  rollOverDay(allowance, at(hours))
  const take = (): Permit => {
    allowance.taken += 1
    return { used: 1, taken: allowance.taken, day: allowance.day }
  }
  return { allowance, take }
}

t.test('a day that is used up is over until HighLevel’s day ends, and not a minute longer', (t) => {
  const { allowance, take } = open(10)
  learn(allowance, take(), said(0, 4.5, 429), 0, at(10))

  t.equal(untilDayEndMs(at(10), allowance.dayEndsAt), 4.5 * HOUR_MS)
  rollOverDay(allowance, at(14.4))
  t.notOk(dayHasRoom(allowance, 1))
  rollOverDay(allowance, at(14.5))
  t.ok(dayHasRoom(allowance, 2))
  t.equal(dayLeft(allowance), 1_000)
  t.equal(untilDayEndMs(at(14.5), allowance.dayEndsAt), 24 * HOUR_MS)
  t.end()
})

t.test('a clock that is ahead takes no end of a used-up day for the next day’s', (t) => {
  const { allowance, take } = open(23)
  const SECOND = 1 / 3_600
  learn(allowance, take(), said(0, 1 + 2 * SECOND, 429), 0, at(23))
  rollOverDay(allowance, at(24))

  learn(allowance, take(), said(0, 2 * SECOND, 429), HOUR_MS, at(24))

  rollOverDay(allowance, at(24 + SECOND))
  t.notOk(dayHasRoom(allowance, HOUR_MS + 1_000), 'HighLevel’s day goes on')
  rollOverDay(allowance, at(24 + 2 * SECOND))
  t.equal(dayLeft(allowance), 1_000)
  t.end()
})

t.test('midnight ends no day where HighLevel’s goes on', (t) => {
  const { allowance, take } = open(10)
  learn(allowance, take(), said(0, 20, 429), 0, at(10))

  rollOverDay(allowance, at(24))

  t.notOk(dayHasRoom(allowance, 1))
  t.end()
})

t.test('what is left counts again as soon as the end of the day is known', (t) => {
  const { allowance, take } = open(10)
  learn(allowance, take(), said(500, 4.5), 0, at(10))
  learn(allowance, take(), said(499, 4.5), 1, at(10))

  t.equal(dayLeft(allowance), 499)
  rollOverDay(allowance, at(10.1))
  t.equal(dayLeft(allowance), 499)
  t.end()
})

t.test('answers that come late move the end of the day by nothing', (t) => {
  const { allowance, take } = open(10)
  learn(allowance, take(), said(500, 4.5), 0, at(10))
  const { dayEndsAt, day } = allowance

  learn(allowance, take(), said(499, 4.5), 1, at(10) + 4_000)
  rollOverDay(allowance, at(14.5) - 1)
  learn(allowance, take(), said(498, 24), 1, at(14.5) - 1)

  t.match(allowance, { dayEndsAt, day })
  t.end()
})

t.test('an answer to a call of the day before says nothing of when this one ends', (t) => {
  const { allowance, take } = open(10)
  learn(allowance, take(), said(500, 4.5), 0, at(10))
  const old = take()
  rollOverDay(allowance, at(14.5))

  learn(allowance, old, said(0, 0.01, 429), 1, at(14.51))

  t.equal(untilDayEndMs(at(14.5), allowance.dayEndsAt), 24 * HOUR_MS)
  t.ok(dayHasRoom(allowance, 2))
  t.end()
})

t.test('the size of a day without what is left of it shuts no location', (t) => {
  for (const [left, max] of [
    [undefined, '1'],
    [undefined, '16'],
    [500, '0x10']
  ] as const) {
    const { allowance, take } = open(10)
    for (let n = 0; n < 20; n += 1) learn(allowance, take(), said(left, undefined, 200, max), n, at(10))

    t.ok(dayHasRoom(allowance, 21), max)
    t.equal(allowance.dayMax, 1_000)
  }
  t.end()
})

t.test('without a word of its end, or with an odd one, a day ends at midnight UTC', (t) => {
  for (const hours of [undefined, 25]) {
    const { allowance, take } = open(10)
    learn(allowance, take(), said(0, hours, 429), 0, at(10))

    t.equal(untilDayEndMs(at(10), allowance.dayEndsAt), 14 * HOUR_MS)
    rollOverDay(allowance, at(24))
    t.ok(dayHasRoom(allowance, 1))
  }
  t.end()
})
