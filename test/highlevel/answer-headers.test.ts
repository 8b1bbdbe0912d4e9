import t from 'tap'
import { integerHeader, retryAfterMs } from '../../src/highlevel/answer-headers.ts'
import type { Answer } from '../../src/highlevel/call.ts'

const answer = (headers: Answer['headers']): Answer => ({ status: 429, headers, body: Buffer.alloc(0) })

t.test('a number consists of decimal digits and nothing else', (t) => {
  const read = (text: string | string[]) => integerHeader(answer({ n: text }), 'n', 1, 1_000)

  t.strictSame(['1', '007', '1000'].map(read), [1, 7, 1_000])
  const odd = [
    '',
    ' ',
    '0x10',
    '1e2',
    '+5',
    '-5',
    '5.0',
    '5,5',
    '0b11',
    'NaN',
    'Infinity',
    '１',
    '0',
    '1001',
    '9'.repeat(400)
  ]
  for (const text of odd) t.equal(read(text), undefined, text)
  t.equal(read(['5', '6']), undefined, 'sent twice')
  t.equal(integerHeader(answer({}), 'n', 0, 1), undefined)
  t.end()
})

t.test('Retry-After is read as seconds or as a date of any form, and is never more than a day', (t) => {
  const now = Date.UTC(2026, 0, 1)
  const expected: [string, number | undefined][] = [
    ['0', 0],
    ['7', 7],
    ['999999999', 86_400],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60],
    ['Thursday, 01-Jan-26 00:01:00 GMT', 60],
    ['Thu Jan  1 00:01:00 2026', 60],
    ['Thu, 01 Jan 2099 00:00:00 GMT', 86_400],
    ['Thu, 01 Jan 2026 00:00:00 GMT', undefined],
    ['Wed, 31 Dec 2025 23:59:00 GMT', undefined],
    ['Thu, 41 Jan 2026 00:01:00 GMT', undefined],
    ['2026-01-01T00:01:00Z', undefined],
    ['0.5', undefined],
    ['-1', undefined],
    ['0x10', undefined],
    ['soon', undefined],
    ['', undefined]
  ]

  const fallbackMs = 1_234
  for (const [text, seconds] of expected) {
    const ms = seconds === undefined ? fallbackMs : seconds * 1_000
    t.equal(retryAfterMs(answer({ 'retry-after': text }), fallbackMs, now), ms, text)
  }
  t.equal(retryAfterMs(answer({}), fallbackMs, now), fallbackMs)
  t.end()
})

t.test('a date counts from the Date of the answer, whatever the local clock says', (t) => {
  const headers = { date: 'Thu, 01 Jan 2026 00:00:00 GMT', 'retry-after': 'Thu, 01 Jan 2026 00:01:00 GMT' }

  t.equal(retryAfterMs(answer(headers), 0, Date.UTC(2030, 0, 1)), 60_000)
  t.end()
})
