import t from 'tap'
import { readRefusal, type TokenRequestKind } from '../../../src/grants/oauth/read-refusal.ts'
import { TokenRefusal } from '../../../src/grants/oauth/token-refusal.ts'

const read = (kind: TokenRequestKind, status: number, body: unknown) =>
  readRefusal(kind, { status, headers: {}, body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) })

const classify = (request: TokenRequestKind, status: number, body: unknown) => {
  const error = read(request, status, body)
  return error instanceof TokenRefusal ? error.kind : error.code
}

const oauthError = (error: string, error_description: string) => ({ error, error_description })

const refreshRefusals: [expected: string, status: number, body: unknown][] = [
  ['invalid-grant', 400, { error: 'invalid_grant' }],
  ['invalid-grant', 400, oauthError('invalid_grant', 'Invalid grant: refresh token is invalid')],
  ['invalid-grant', 401, { statusCode: 401, message: 'Invalid grant' }],
  ['invalid-grant', 400, oauthError('invalid_request', 'The refresh token was revoked, rotated or has expired')],
  ['invalid-grant', 400, oauthError('invalid_request', 'was revoked, rotated or has expired')],
  ['invalid-grant', 400, oauthError('invalid_grant', 'Token has already been used')],
  ['invalid-grant', 400, oauthError('invalid_grant', 'Unknown refresh token')],
  ['invalid-grant', 401, oauthError('UnAuthorized!', 'Authorization code not found')],

  ['in-progress', 400, oauthError('invalid_grant', 'token request is already being processed')],
  ['in-progress', 400, oauthError('invalid_grant', 'A refresh is in progress, try again')],
  ['in-progress', 409, { message: 'Concurrent refresh' }],
  ['in-progress', 400, oauthError('invalid_request', 'temporarily not possible')],

  ['unrecognized', 400, oauthError('invalid_grant', 'Computer says no')],
  ['unrecognized', 401, { statusCode: 401, message: 'Unauthorized' }],
  ['unrecognized', 400, {}],
  // Words of both kinds: neither is believed at once.
  ['unrecognized', 400, oauthError('invalid_grant', 'refresh token is invalid or is already being processed')],

  ['inactive', 400, { statusCode: 400, message: 'Location is not active' }],
  ['inactive', 400, oauthError('invalid_grant', 'Location is not active')],

  ['refused', 401, oauthError('UnAuthorized!', 'Invalid client credentials!')],
  ['refused', 401, { error: 'invalid_client' }],
  ['refused', 400, { error: 'unauthorized_client' }],
  ['refused', 400, oauthError('invalid_request', 'Missing parameter: clientId')],
  ['refused', 422, { statusCode: 422, message: ['grant_type must be a valid enum value'] }],
  ['refused', 400, oauthError('invalid_grant', 'client_id does not match the refresh token')],
  ['refused', 401, { message: 'version header was not found.' }],
  // Not from OAuth, but from a proxy in front of HighLevel.
  ['refused', 403, { message: 'Forbidden resource' }],
  ['refused', 404, { message: 'Cannot POST /oauth/token' }],

  ['upstream-unavailable', 503, 'no healthy upstream'],
  ['upstream-unavailable', 429, { message: 'Too Many Requests' }],
  ['upstream-unavailable', 302, ''],
  ['upstream-unavailable', 408, {}],
  ['upstream-unavailable', 403, '<html>blocked</html>']
]

t.test('a refused refresh is classified by its words', async (t) => {
  for (const [expected, status, body] of refreshRefusals)
    t.equal(classify('refresh', status, body), expected, `${status} ${JSON.stringify(body)}`)
})

t.test('a refused mint ends a location only if the company has no access to it any more', async (t) => {
  t.equal(classify('mint', 403, { message: 'The token does not have access to this location.' }), 'invalid-grant')
  t.equal(classify('mint', 401, { message: 'This location is not accessible from this token!' }), 'invalid-grant')
  for (const message of ['Invalid JWT', 'The access token is expired', 'Token was revoked', 'try again'])
    t.equal(classify('mint', 401, { statusCode: 401, message }), 'refused', message)
  t.match(read('mint', 401, { statusCode: 401, message: 'Invalid JWT' }), { isTokenFault: true })
})

t.test('a refused code is classified by its words', async (t) => {
  t.equal(classify('code', 401, oauthError('UnAuthorized!', 'Authorization code not found')), 'invalid-grant')
  t.equal(classify('code', 400, oauthError('invalid_grant', 'whatever it says')), 'invalid-grant')
  t.equal(classify('code', 401, oauthError('UnAuthorized!', 'Invalid client credentials!')), 'refused')
  t.equal(classify('code', 400, oauthError('invalid_grant', 'redirect_uri does not match')), 'refused')
})

t.test('a refusal’s message contains neither the token nor the secret', async (t) => {
  const form = { refresh_token: 'refresh-secret-1', client_secret: 'client-secret-2' }
  const body = Buffer.from(
    JSON.stringify(oauthError('invalid_grant', 'refresh-secret-1 with client-secret-2 is unknown'))
  )
  const error = readRefusal('refresh', { status: 400, headers: {}, body }, form)
  t.notMatch(error.message, /secret-\d/)
})

t.test('the Retry-After of a token endpoint is respected', async (t) => {
  const expected: [Record<string, string>, number][] = [
    [{ 'retry-after': '17' }, 17],
    [{ date: 'Thu, 01 Jan 2026 00:00:00 GMT', 'retry-after': 'Thu, 01 Jan 2026 00:00:40 GMT' }, 40],
    [{ 'retry-after': '0x10' }, 5],
    [{}, 5]
  ]

  for (const [headers, retryAfterSeconds] of expected) {
    const error = readRefusal('code', { status: 503, headers, body: Buffer.alloc(0) })
    t.match(error, { extras: { retryAfterSeconds } })
  }
})
