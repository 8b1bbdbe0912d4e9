import t from 'tap'
import type { Answer } from '../../../src/highlevel/call.ts'
import { readUpstreamError } from '../../../src/highlevel/errors/error-body.ts'
import { isTokenFault, upstreamProblem } from '../../../src/highlevel/errors/to-problem.ts'
import type { ProblemCode } from '../../../src/problems/catalog.ts'
import { createCall } from '../calls.ts'

const PUT = createCall('PUT')
const answer = (status: number, body: string, type = 'application/json'): Answer => ({
  status,
  headers: { 'content-type': type },
  body: Buffer.from(body)
})
const read = (body: unknown) => readUpstreamError(answer(400, JSON.stringify(body)))

t.test('the message is found in every error format that HighLevel uses', async (t) => {
  const rows: [body: unknown, error: object][] = [
    [{ message: 'one' }, { message: 'one' }],
    [{ message: ['one', 'two'] }, { message: 'one; two' }],
    [{ message: 'one', error: 'Bad Request' }, { message: 'one' }],
    [{ message: [] }, {}],
    [{ error: 'invalid_grant' }, { message: 'invalid_grant', errorCode: 'invalid_grant' }],
    [
      { error: 'UnAuthorized!', error_description: 'Invalid client credentials!' },
      { message: 'Invalid client credentials!', errorCode: 'UnAuthorized!' }
    ],
    [
      { error: { code: 'NOT_FOUND', message: 'one', details: [{}], resolution: 'two' } },
      { message: 'one', errorCode: 'NOT_FOUND' }
    ],
    [{ error: { message: ['one', 'two'] } }, { message: 'one; two' }],
    [
      { message: 'one', errors: [{ errorCode: 'duplicate_record', field: 'email' }], traceId: '0a1b2c3d-4e5f' },
      { message: 'one', errorCode: 'duplicate_record', field: 'email', traceId: '0a1b2c3d-4e5f' }
    ],
    [{ message: 'one', errors: [] }, { message: 'one' }],
    [{ statusCode: 400 }, {}],
    [{}, {}],
    [[], {}],
    ['text', {}],
    [null, {}]
  ]

  for (const [body, error] of rows) t.match(read(body), { readable: true, ...error }, JSON.stringify(body))
  t.strictSame([read({}), read(null), read([])], [{ readable: true }, { readable: true }, { readable: true }])
})

t.test('a member of an unknown shape does not hide the others', async (t) => {
  const message = 'The token is not authorized for this scope.'
  const bodies = [
    { message, error: null },
    { message, errors: null },
    { message, errors: ['scope'] },
    { message, errors: { scope: 'missing' } },
    { message, traceId: 17 },
    { error: { code: 401, message } }
  ]

  for (const body of bodies) {
    const refused = answer(401, JSON.stringify(body))

    t.equal(readUpstreamError(refused).message, message, JSON.stringify(body))
    t.equal(upstreamProblem(PUT, refused, {}).code, 'location-scope-missing', JSON.stringify(body))
    t.equal(isTokenFault(refused), false, JSON.stringify(body))
  }
})

t.test('the name of the status next to the message does not change its meaning', async (t) => {
  const body = { message: 'No record of the object has this id', error: 'Not Found', statusCode: 404 }

  t.equal(upstreamProblem(PUT, answer(404, JSON.stringify(body)), {}).code, 'record-not-found')
})

t.test(
  'a body that is not JSON is judged by its status, and quoted only if it is one line of plain text',
  async (t) => {
    const html = '<!DOCTYPE html><title>Error 1010</title>'
    const rows: [Answer, ProblemCode, message?: string][] = [
      [answer(400, ''), 'upstream-rejected'],
      [answer(401, ''), 'upstream-contract-changed'],
      [answer(403, ' \r\n'), 'upstream-contract-changed'],
      [answer(404, ''), 'record-not-found'],
      [answer(500, ''), 'upstream-failed'],
      [answer(403, html, 'text/html'), 'upstream-unreadable'],
      [answer(400, '{"message":"cut of', 'application/json'), 'upstream-unreadable'],
      [answer(301, html, 'text/html'), 'upstream-unreadable'],
      [answer(404, 'not here', 'text/plain'), 'upstream-unreadable', 'not here'],
      [answer(503, 'no healthy upstream', 'text/plain'), 'upstream-failed', 'no healthy upstream'],
      [answer(503, 'upstream connect error', 'text/plain; charset=utf-8'), 'upstream-failed', 'upstream connect error'],
      [answer(503, `${'x'.repeat(201)}`, 'text/plain'), 'upstream-failed'],
      [answer(502, html, 'text/html'), 'upstream-failed'],
      [answer(502, '{"message":"cut of'), 'upstream-failed'],
      [{ status: 503, headers: {}, body: Buffer.from('no healthy upstream') }, 'upstream-failed']
    ]

    for (const [given, code, message] of rows) {
      const problem = upstreamProblem(PUT, given, {})
      t.equal(problem.code, code, `${given.status} ${given.body}`)
      t.strictSame(problem.extras.upstream, { status: given.status, ...(message !== undefined && { message }) })
    }
  }
)

t.test('bytes that are not UTF-8 and JSON that nests deeply are read without a throw', async (t) => {
  const deep = `${'['.repeat(5_000)}${']'.repeat(5_000)}`

  t.match(readUpstreamError({ status: 400, headers: {}, body: Buffer.from([0x7b, 0xff, 0xfe]) }), { readable: false })
  t.strictSame(readUpstreamError(answer(400, deep)), { readable: true })
})

t.test('only the beginning of a very long message is read, since the rules search all of it', (t) => {
  const long = 'record '.repeat(100_000)
  const error = readUpstreamError(answer(404, JSON.stringify({ message: long, errors: [{ errorCode: long }] })))

  t.ok(long.startsWith(error.message ?? ''))
  t.equal(error.message?.length, 2_500)
  t.equal(error.errorCode?.length, 2_500)
  t.match(upstreamProblem(PUT, answer(404, JSON.stringify({ message: 'object '.repeat(100_000) })), {}), {
    code: 'record-not-found'
  })
  t.end()
})
