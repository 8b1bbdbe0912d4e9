import fc from 'fast-check'
import t from 'tap'
import { withoutValues } from '../../../src/highlevel/errors/redact.ts'
import { upstreamProblem } from '../../../src/highlevel/errors/to-problem.ts'
import { createCall } from '../calls.ts'

t.test('a sent value is removed from a message, wherever and however often it appears', async (t) => {
  const rows: [message: string, sent: unknown, clean: string][] = [
    ['No values here.', { a: 'x' }, 'No values here.'],
    [
      'Email jane@example.com is taken, jane@example.com!',
      { email: 'jane@example.com' },
      'Email [value] is taken, [value]!'
    ],
    ['Nested +15550001 too', { properties: { list: [{ deep: '+15550001' }] } }, 'Nested [value] too'],
    ['Number 4711 and 4711.5', { a: 4711, b: 4711.5 }, 'Number [value] and [value]'],
    ['Number -12 is negative', { a: -12 }, 'Number [value] is negative'],
    ['Value “42” of 1424 is bad', { a: '42' }, 'Value “[value]” of 1424 is bad'],
    ['Jo joined Jo.', { a: 'Jo' }, '[value] joined [value].'],
    ['Ümit, Ümits', { a: 'Ümit' }, '[value], Ümits'],
    ['Too long: A quite long te…', { a: 'A quite long text' }, 'Too long: [value]…'],
    ['A quite different thing', { a: 'A quite long text' }, '[value]different thing'],
    ['long-value-one-two', { a: 'long-value-one', b: 'long-value-one-two' }, '[value]'],
    ['secret12 secret123', { a: 'secret12', b: 'secret123' }, '[value] [value]'],
    ['true null stay', { a: true, b: null, c: '' }, 'true null stay'],
    ['Line one\nLine two', { a: 'Line one\nLine two' }, '[value]'],
    ['anything', undefined, 'anything'],
    ['', { a: 'x' }, '']
  ]

  for (const [message, sent, clean] of rows) t.equal(withoutValues(message, sent), clean, message)
})

t.test('a value that HighLevel trimmed before repeating it is removed', async (t) => {
  t.equal(withoutValues('Bad: secret text', { a: '  secret text \n' }), 'Bad: [value]')
})

t.test('the name of a field stays in the message', async (t) => {
  t.equal(
    withoutValues('customer_number is wrong', { properties: { customer_number: 'abc' } }),
    'customer_number is wrong'
  )
})

t.test('a long text that HighLevel repeats as a whole is removed from its message', async (t) => {
  const notes = 'Confidential note. '.repeat(632).slice(0, 12_001)
  const message = `${notes} exceeds the 12,000 character limit for Notes.`
  const answer = { status: 400, headers: {}, body: Buffer.from(JSON.stringify({ message, statusCode: 400 })) }
  const call = createCall('PUT')

  const problem = upstreamProblem(call, answer, { properties: { notes } })

  t.equal(problem.code, 'upstream-rejected')
  t.equal(problem.extras.upstream?.message, '[value]')
})

t.test('the text of a value does not decide what a refusal means', async (t) => {
  const call = createCall('PUT')

  for (const notes of [
    'An API version is missing',
    'It is not a valid ObjectId',
    'The API endpoint has been removed'
  ]) {
    const message = `${notes} exceeds the 12,000 character limit for Notes.`
    const answer = { status: 400, headers: {}, body: Buffer.from(JSON.stringify({ message })) }
    t.equal(upstreamProblem(call, answer, { properties: { notes } }).code, 'upstream-rejected', notes)
  }
})

t.test('a long message is cut', async (t) => {
  const clean = withoutValues('word '.repeat(1_000), { a: 'other' })

  t.equal(clean.length, 501)
  t.ok(clean.endsWith('…'))
})

t.test('the first eight characters of a value never stay in a message, whatever is around them', async (t) => {
  const value = fc.string({ minLength: 8, maxLength: 60, unit: fc.constantFrom('a', 'b', ' ', '9', 'é') })
  const around = fc.string({ maxLength: 20, unit: fc.constantFrom('a', 'b', ' ', '.') })

  const holds = fc.property(
    fc.array(value, { minLength: 1, maxLength: 4 }),
    around,
    around,
    fc.nat(60),
    (values, before, after, cut) => {
      const [first = ''] = values
      const message = `${before}${first.slice(0, 8 + cut)}${after}`

      const clean = withoutValues(message, { values })

      return values.every((one) => !clean.includes(one.slice(0, 8)))
    }
  )

  t.doesNotThrow(() => fc.assert(holds, { numRuns: 500 }))
})
