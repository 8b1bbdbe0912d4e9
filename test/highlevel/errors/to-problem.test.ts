import t from 'tap'
import type { Answer, Call } from '../../../src/highlevel/call.ts'
import { isTokenFault, upstreamProblem } from '../../../src/highlevel/errors/to-problem.ts'
import { catalog, type ProblemCode } from '../../../src/problems/catalog.ts'
import { createCall } from '../calls.ts'

const PUT = createCall('PUT')

const json = (status: number, body: unknown, headers: Answer['headers'] = {}): Answer => ({
  status,
  headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  body: Buffer.from(JSON.stringify(body))
})
const says = (status: number, message: string | string[]) =>
  json(status, { statusCode: status, message, traceId: '0a1b2c3d-4e5f-6a7b-8c9d-0a1b2c3d4e5f' })

/** Status and message as HighLevel sends them, the code of the problem, and whether another token may help. */
const rows: [status: number, message: string | string[], code: ProblemCode, tokenFault?: true][] = [
  [400, 'Bad Request', 'upstream-rejected'],
  [400, "couldn't validate the mapped field", 'upstream-rejected'],
  [400, 'Invalid Key Passed', 'upstream-rejected'],
  [400, 'Money is missing a currency code', 'upstream-rejected'],
  [400, 'The text exceeds the 12,000 character limit for Notes.', 'upstream-rejected'],
  [400, 'Too many files for My Files. Maximum allowed: 1.', 'upstream-rejected'],
  [400, "Section includes values that don't match what's saved.", 'upstream-rejected'],
  [400, 'A record with the same value for External ID - 17 already exists.', 'duplicate-value'],
  [400, 'Id 17 is not a valid ObjectId', 'record-not-found'],
  [400, 'API endpoint has been removed', 'upstream-contract-changed'],
  [400, "Invalid API version segment 'bogus-version' at position 0", 'upstream-contract-changed'],
  [
    400,
    'Endpoint /x not available in API version v3. This endpoint was removed in version v3. Please use a version before v3.',
    'upstream-contract-changed'
  ],
  [400, 'Record with id 632c34b4c9b7da3358ac9891 not found', 'record-not-found'],
  [400, 'The record has been deleted', 'record-not-found'],
  [400, 'Record not found', 'record-not-found'],
  [422, 'Record Type: option not found', 'upstream-rejected'],
  [400, 'Custom Object (custom_objects.invoices) not found', 'object-not-found'],
  [404, 'User with id 17 not found', 'upstream-rejected'],
  [404, 'Location not found', 'location-reconnect-required'],
  [401, 'version header was not found.', 'upstream-contract-changed'],
  [401, 'version header is invalid', 'upstream-contract-changed'],
  [401, 'Invalid JWT', 'location-reconnect-required', true],
  [401, 'Invalid token: access token is invalid', 'location-reconnect-required', true],
  [401, 'Invalid Private Integration token', 'location-reconnect-required', true],
  [401, 'The session has expired', 'location-reconnect-required', true],
  [401, 'The token is not authorized for this scope.', 'location-scope-missing'],
  [401, "Token's user type mismatch!", 'location-reconnect-required'],
  [401, "This token's user type is not yet supported!", 'location-reconnect-required'],
  [
    401,
    'This authClass type is not allowed to access this scope. Please verify your IAM configuration if this is not the case.',
    'location-reconnect-required'
  ],
  [401, 'This location is not accessible from this token!', 'location-reconnect-required'],
  [401, 'Words that nobody has seen yet', 'upstream-contract-changed', true],
  [403, 'The token does not have access to this location.', 'location-reconnect-required'],
  [403, 'Forbidden resource', 'upstream-contract-changed'],
  [404, 'Custom Object (custom_objects.invoices) not found', 'object-not-found'],
  [404, 'Cannot PUT /objects/custom_objects.ticket/records/1', 'upstream-contract-changed'],
  [404, 'Words that nobody has seen yet', 'record-not-found'],
  [409, 'Conflict', 'upstream-rejected'],
  [422, ['property locationId should not exist'], 'upstream-rejected'],
  [422, "We couldn't apply updates to Section due to an unexpected format.", 'upstream-rejected'],
  [302, 'Found', 'upstream-contract-changed'],
  [500, 'Something went wrong', 'upstream-failed'],
  [500, 'Conversation with id temp not found', 'upstream-failed'],
  [502, 'Bad Gateway', 'upstream-failed'],
  [503, 'Service Unavailable', 'upstream-failed'],
  [504, 'Gateway Timeout', 'upstream-failed']
]

for (const [status, message, code, tokenFault = false] of rows) {
  t.test(`${status} “${message}” is ${code}${tokenFault ? ', and another token may help' : ''}`, async (t) => {
    const answer = says(status, message)

    const problem = upstreamProblem(PUT, answer, { properties: {} })

    t.equal(problem.code, code)
    t.equal(problem.status, catalog[code].status)
    t.strictSame(problem.extras.upstream, {
      status,
      message: [message].flat().join('; '),
      traceId: '0a1b2c3d-4e5f-6a7b-8c9d-0a1b2c3d4e5f'
    })
    t.equal(problem.extras.applied, [400, 401, 403, 404, 422].includes(status) ? 'no' : 'unknown')
    t.equal(problem.extras.errors, undefined)
    t.equal(isTokenFault(answer), tokenFault)
  })
}

/** The problem for a refused read of a record, and of an object. */
const readRows: [status: number, message: string | string[], record: ProblemCode, object: ProblemCode][] = [
  [400, 'Bad Request', 'upstream-contract-changed', 'upstream-contract-changed'],
  [422, ['locationId must be a string'], 'upstream-contract-changed', 'upstream-contract-changed'],
  [
    400,
    'A record with the same value for External ID - 17 already exists.',
    'upstream-contract-changed',
    'upstream-contract-changed'
  ],
  [409, 'Conflict', 'upstream-contract-changed', 'upstream-contract-changed'],
  [400, 'Record with id 632c34b4c9b7da3358ac9891 not found', 'record-not-found', 'object-not-found'],
  [422, 'The record does not exist', 'record-not-found', 'object-not-found'],
  [400, 'Business not found', 'record-not-found', 'object-not-found'],
  [400, '17 is not a valid ObjectId', 'record-not-found', 'object-not-found'],
  [400, 'Custom Object (custom_objects.invoices) not found', 'object-not-found', 'object-not-found'],
  [404, 'Custom Object record not found', 'record-not-found', 'object-not-found'],
  [400, 'Invalid Key Passed', 'upstream-contract-changed', 'object-not-found'],
  [404, 'Words that nobody has seen yet', 'record-not-found', 'object-not-found'],
  [404, 'Location not found', 'location-reconnect-required', 'location-reconnect-required'],
  [404, 'Cannot GET /objects', 'upstream-contract-changed', 'upstream-contract-changed'],
  [401, 'The token is not authorized for this scope.', 'location-scope-missing', 'location-scope-missing']
]

for (const [status, message, ofRecord, ofObject] of readRows) {
  t.test(`a read that is refused with ${status} “${message}” is not reported as a write`, async (t) => {
    const get = { ...createCall('GET'), isBackground: false }
    for (const [read, code] of [
      [get, ofRecord],
      [{ ...get, isBackground: true }, ofObject]
    ] as const) {
      const problem = upstreamProblem(read, says(status, message), undefined)

      t.equal(problem.code, code)
      t.notMatch(problem.detail, /value|write/)
      t.notMatch(catalog[problem.code].title, /value/)
      t.equal(problem.extras.errors, undefined)
    }
  })
}

t.test('after a 503 a write is unknown, and a read has written nothing', async (t) => {
  const answer = says(503, 'Service Unavailable')

  t.equal(upstreamProblem(PUT, answer, {}).extras.applied, 'unknown')
  t.equal(upstreamProblem(createCall('GET'), answer, undefined).extras.applied, 'no')
})

t.test('only refusals that HighLevel gives before it stores anything prove that nothing was stored', async (t) => {
  const refusals = [400, 401, 403, 404, 422, 429]
  const statuses = Array.from({ length: 900 }, (_, n) => n + 100).filter((status) => status !== 200 && status !== 201)
  const appliedOf = (method: Call['method'], status: number) =>
    upstreamProblem(createCall(method), says(status, 'Words that nobody has seen yet'), {}).extras.applied ?? 'no'

  t.strictSame(
    statuses.filter((status) => appliedOf('PUT', status) === 'no'),
    refusals
  )
  t.strictSame(
    statuses.filter((status) => appliedOf('GET', status) !== 'no'),
    []
  )
})

t.test('a refusal of the values proves nothing without a reason in HighLevel’s words', async (t) => {
  const bodies = ['', '{}', '[]', 'null', '{"message":', '<html>', 'no healthy upstream']
  const appliedOf = (status: number, body: string) =>
    upstreamProblem(PUT, { status, headers: {}, body: Buffer.from(body) }, {}).extras.applied ?? 'no'

  for (const body of bodies) {
    for (const status of [400, 404, 422]) t.equal(appliedOf(status, body), 'unknown', `${status} ${body}`)
    for (const status of [401, 403, 429]) t.equal(appliedOf(status, body), 'no', `${status} ${body}`)
  }
  t.match(upstreamProblem(PUT, { status: 408, headers: {}, body: Buffer.from('<html>') }, {}), {
    code: 'upstream-unreadable'
  })
})

t.test('the message of an invalid token is a token fault with status 401 only', async (t) => {
  for (const status of [200, 400, 403, 404, 422, 429, 500]) t.equal(isTokenFault(says(status, 'Invalid JWT')), false)
})

t.test('a duplicate value of a unique field names the field by its pointer', async (t) => {
  const body = (field: string) => ({
    message: 'A record with the same value for External ID - … already exists.',
    errors: [{ errorCode: 'duplicate_record', message: '…', field }],
    statusCode: 400
  })
  const pointers = { external_id: '/properties/external_id', 'a/b~c': '/properties/a~1b~0c' }

  for (const [field, pointer] of Object.entries(pointers)) {
    t.strictSame(upstreamProblem(PUT, json(400, body(field)), {}).extras.errors, [
      { pointer, code: 'duplicate', detail: 'Another record has this value' }
    ])
  }
})

t.test('a duplicate value is recognized by its error code alone', async (t) => {
  const answer = json(400, { message: 'Refused', errors: [{ errorCode: 'duplicate_record', field: 'email' }] })

  t.match(upstreamProblem(PUT, answer, {}), {
    code: 'duplicate-value',
    extras: { errors: [{ pointer: '/properties/email' }] }
  })
})

t.test('the fields of other errors are not reported as duplicates', async (t) => {
  const answer = json(422, { message: 'Refused', errors: [{ errorCode: 'bad_value', field: 'email' }] })

  t.match(upstreamProblem(PUT, answer, {}), { code: 'upstream-rejected', extras: { errors: undefined } })
})

t.test('a status outside 3xx to 5xx is unreadable, and the outcome of a write is unknown', async (t) => {
  for (const status of [101, 600, 999]) {
    t.match(upstreamProblem(PUT, json(status, {}), {}), { code: 'upstream-unreadable', extras: { applied: 'unknown' } })
    t.match(upstreamProblem(createCall('GET'), json(status, {}), undefined), { extras: { applied: 'no' } })
  }
})

t.test('a 429 has a Retry-After: HighLevel’s own, one window, or the time until tomorrow', async (t) => {
  const day = { 'x-ratelimit-daily-remaining': '0' }
  const window = { 'x-ratelimit-interval-milliseconds': '2500' }
  const expected: [Answer['headers'], ProblemCode, number][] = [
    [{}, 'location-burst-exhausted', 10],
    [{ ...window }, 'location-burst-exhausted', 3],
    [{ 'x-ratelimit-interval-milliseconds': '0' }, 'location-burst-exhausted', 10],
    [{ 'x-ratelimit-interval-milliseconds': 'soon' }, 'location-burst-exhausted', 10],
    [{ ...window, 'retry-after': '7' }, 'location-burst-exhausted', 7],
    [{ ...window, 'retry-after': '0.2' }, 'location-burst-exhausted', 3],
    [{ ...window, 'retry-after': '0' }, 'location-burst-exhausted', 1],
    [{ ...window, 'retry-after': '0x10' }, 'location-burst-exhausted', 3],
    [{ ...window, 'retry-after': '' }, 'location-burst-exhausted', 3],
    [{ ...window, 'retry-after': '-1' }, 'location-burst-exhausted', 3],
    [{ ...window, 'retry-after': 'Tue, 21 Oct 2025 07:28:00 GMT' }, 'location-burst-exhausted', 3],
    [
      { date: 'Tue, 21 Oct 2025 07:27:00 GMT', 'retry-after': 'Tue, 21 Oct 2025 07:28:00 GMT' },
      'location-burst-exhausted',
      60
    ],
    [{ 'retry-after': new Date(Date.now() + 10 * 86_400_000).toUTCString() }, 'location-burst-exhausted', 86_400],
    [{ 'x-ratelimit-daily-remaining': '1' }, 'location-burst-exhausted', 10],
    [{ 'x-ratelimit-daily-remaining': '' }, 'location-burst-exhausted', 10],
    [{ ...day, 'retry-after': '120' }, 'location-daily-exhausted', 120],
    [{ ...day, 'x-ratelimit-daily-reset': '7200000' }, 'location-daily-exhausted', 7_200]
  ]

  for (const [headers, code, retryAfterSeconds] of expected) {
    const problem = upstreamProblem(PUT, json(429, { message: 'Too many' }, headers), {})
    t.match(
      problem,
      { code, extras: { retryAfterSeconds, upstream: { message: 'Too many' } } },
      JSON.stringify(headers)
    )
    t.not(problem.extras.applied, 'unknown')
  }
  const tomorrow = upstreamProblem(PUT, json(429, {}, { ...day, ...window }), {})
  const seconds = 86_400 - ((Date.now() / 1_000) % 86_400)
  t.equal(tomorrow.code, 'location-daily-exhausted')
  t.ok(Math.abs((tomorrow.extras.retryAfterSeconds ?? 0) - seconds) < 5)
})

t.test('a 429 is a 429 whatever its body', async (t) => {
  for (const body of ['', '<html>', '{"mess'])
    t.equal(
      upstreamProblem(PUT, { status: 429, headers: {}, body: Buffer.from(body) }, {}).code,
      'location-burst-exhausted'
    )
})
