import t from 'tap'
import { type Ask, refusalOf } from '../../../src/grants/oauth/read-refusal.ts'
import { TokenRefusal } from '../../../src/grants/oauth/token-refusal.ts'

const refusal = (ask: Ask, status: number, body: unknown) =>
  refusalOf(ask, { status, headers: {}, body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) })

const kindOf = (ask: Ask, status: number, body: unknown) => {
  const read = refusal(ask, status, body)
  return read instanceof TokenRefusal ? read.kind : read.code
}

const described = (error: string, error_description: string) => ({ error, error_description })

const ofRefresh: [expected: string, status: number, body: unknown][] = [
  ['invalid-grant', 400, { error: 'invalid_grant' }],
  ['invalid-grant', 400, described('invalid_grant', 'Invalid grant: refresh token is invalid')],
  ['invalid-grant', 401, { statusCode: 401, message: 'Invalid grant' }],
  ['invalid-grant', 400, described('invalid_request', 'The refresh token was revoked, rotated or has expired')],
  ['invalid-grant', 400, described('invalid_request', 'was revoked, rotated or has expired')],
  ['invalid-grant', 400, described('invalid_grant', 'Token has already been used')],
  ['invalid-grant', 400, described('invalid_grant', 'Unknown refresh token')],
  ['invalid-grant', 401, described('UnAuthorized!', 'Authorization code not found')],

  ['in-progress', 400, described('invalid_grant', 'token request is already being processed')],
  ['in-progress', 400, described('invalid_grant', 'A refresh is in progress, try again')],
  ['in-progress', 409, { message: 'Concurrent refresh' }],
  ['in-progress', 400, described('invalid_request', 'temporarily not possible')],

  ['unrecognized', 400, described('invalid_grant', 'Computer says no')],
  ['unrecognized', 401, { statusCode: 401, message: 'Unauthorized' }],
  ['unrecognized', 400, {}],
  // Both the one and the other: neither is believed at once.
  ['unrecognized', 400, described('invalid_grant', 'refresh token is invalid or is already being processed')],

  ['inactive', 400, { statusCode: 400, message: 'Location is not active' }],
  ['inactive', 400, described('invalid_grant', 'Location is not active')],

  ['refused', 401, described('UnAuthorized!', 'Invalid client credentials!')],
  ['refused', 401, { error: 'invalid_client' }],
  ['refused', 400, { error: 'unauthorized_client' }],
  ['refused', 400, described('invalid_request', 'Missing parameter: clientId')],
  ['refused', 422, { statusCode: 422, message: ['grant_type must be a valid enum value'] }],
  ['refused', 400, described('invalid_grant', 'client_id does not match the refresh token')],
  ['refused', 401, { message: 'version header was not found.' }],
  // Not OAuth's: something before HighLevel.
  ['refused', 403, { message: 'Forbidden resource' }],
  ['refused', 404, { message: 'Cannot POST /oauth/token' }],

  ['upstream-unavailable', 503, 'no healthy upstream'],
  ['upstream-unavailable', 429, { message: 'Too Many Requests' }],
  ['upstream-unavailable', 302, ''],
  ['upstream-unavailable', 408, {}],
  ['upstream-unavailable', 403, '<html>blocked</html>']
]

t.test('what a refused refresh means', async (t) => {
  for (const [expected, status, body] of ofRefresh)
    t.equal(kindOf('refresh', status, body), expected, `${status} ${JSON.stringify(body)}`)
})

t.test('a mint ends a location only where the company reaches it no more', async (t) => {
  t.equal(kindOf('mint', 403, { message: 'The token does not have access to this location.' }), 'invalid-grant')
  t.equal(kindOf('mint', 401, { message: 'This location is not accessible from this token!' }), 'invalid-grant')
  for (const message of ['Invalid JWT', 'The access token is expired', 'Token was revoked', 'try again'])
    t.equal(kindOf('mint', 401, { statusCode: 401, message }), 'refused', message)
  t.match(refusal('mint', 401, { statusCode: 401, message: 'Invalid JWT' }), { isTokenFault: true })
})

t.test('a code that is spent or unknown', async (t) => {
  t.equal(kindOf('code', 401, described('UnAuthorized!', 'Authorization code not found')), 'invalid-grant')
  t.equal(kindOf('code', 400, described('invalid_grant', 'whatever it says')), 'invalid-grant')
  t.equal(kindOf('code', 401, described('UnAuthorized!', 'Invalid client credentials!')), 'refused')
  t.equal(kindOf('code', 400, described('invalid_grant', 'redirect_uri does not match')), 'refused')
})

t.test('what is told holds neither the token nor the secret', async (t) => {
  const form = { refresh_token: 'refresh-secret-1', client_secret: 'client-secret-2' }
  const body = Buffer.from(
    JSON.stringify(described('invalid_grant', 'refresh-secret-1 with client-secret-2 is unknown'))
  )
  const read = refusalOf('refresh', { status: 400, headers: {}, body }, form)
  t.notMatch(read.message, /secret-\d/)
})

t.test('a token endpoint that says when to come again is taken at its word', async (t) => {
  const expected: [Record<string, string>, number][] = [
    [{ 'retry-after': '17' }, 17],
    [{ date: 'Thu, 01 Jan 2026 00:00:00 GMT', 'retry-after': 'Thu, 01 Jan 2026 00:00:40 GMT' }, 40],
    [{ 'retry-after': '0x10' }, 5],
    [{}, 5]
  ]

  for (const [headers, retryAfterSeconds] of expected) {
    const read = refusalOf('code', { status: 503, headers, body: Buffer.alloc(0) })
    t.match(read, { extras: { retryAfterSeconds } })
  }
})
