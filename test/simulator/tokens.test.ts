import t from 'tap'
import { SEED } from './seed.ts'
import { openSimulator, textIn } from './test-client.ts'

const INVALID_GRANT = {
  status: 400,
  body: { error: 'invalid_grant', error_description: 'Invalid grant: refresh token is invalid', traceId: /.+/ }
}
const NO_CODE = { status: 401, body: { error: 'UnAuthorized!', error_description: 'Authorization code not found' } }
const BAD_CLIENT = { status: 401, body: { error: 'UnAuthorized!', error_description: 'Invalid client credentials!' } }

t.test('a code yields the tokens of a location once, and only for the right client', async (t) => {
  const { simulator, token, get, call } = await openSimulator(t)
  const { code } = simulator.connect(SEED.secondLocationId)
  const form = { grant_type: 'authorization_code', code }

  const stranger = await token({ ...form, client_secret: 'wrong' })
  const first = await token(form)
  const second = await token(form)

  t.match(stranger, BAD_CLIENT)
  t.match(first, {
    status: 200,
    body: {
      token_type: 'Bearer',
      expires_in: 86_399,
      userType: 'Location',
      companyId: SEED.companyId,
      locationId: SEED.secondLocationId,
      userId: SEED.userId,
      refreshTokenId: /^\w{24}$/,
      isBulkInstallation: false,
      scope: /objects\/record\.write/
    }
  })
  t.match(textIn(first.body, 'access_token'), /^[\w-]+\.[\w-]+\.[\w-]{342}$/)
  t.ok(textIn(first.body, 'access_token').length >= 700 && textIn(first.body, 'access_token').length <= 900)
  t.match(second, NO_CODE)
  t.match(await token({ ...form, client_id: 'wrong' }), NO_CODE, 'the code is checked before the client')
  t.equal(
    (await call(`/objects/business?locationId=${SEED.secondLocationId}`, { token: textIn(first.body, 'access_token') }))
      .status,
    200
  )
  t.equal((await get()).status, 200)
})

t.test('a missing or unknown grant type is answered with 422 and an array of messages', async (t) => {
  const { token } = await openSimulator(t)
  const [invalid, empty] = ['grant_type must be a valid enum value', 'grant_type should not be empty']

  t.match(await token({}), {
    status: 422,
    body: { message: [invalid, empty], error: 'Unprocessable Entity', statusCode: 422, traceId: /.+/ }
  })
  t.match(await token({ grant_type: 'password' }), { status: 422, body: { message: [invalid] } })
})

t.test('a spent refresh token yields the same tokens within its grace, and none after it', async (t) => {
  let now = 1_800_000_000_000
  const { simulator, refresh, refreshToken } = await openSimulator(t, { now: () => now })

  const first = await refresh()
  now += 29_999
  const again = await refresh()
  now += 1
  const late = await refresh()
  const rotated = await refresh(textIn(first.body, 'refresh_token'))

  t.not(textIn(first.body, 'refresh_token'), refreshToken)
  for (const name of ['access_token', 'refresh_token']) t.equal(textIn(again.body, name), textIn(first.body, name))
  t.match(late, INVALID_GRANT)
  t.equal(rotated.status, 200)
  t.match(simulator.tokenCalls(), [
    { grantType: 'refresh_token', refreshToken, status: 200, withinGrace: false, at: 1_800_000_000_000 },
    { refreshToken, status: 200, withinGrace: true },
    { refreshToken, status: 400, withinGrace: false },
    { refreshToken: textIn(first.body, 'refresh_token'), status: 200, withinGrace: false }
  ])
})

t.test('without a grace a spent refresh token is invalid at once', async (t) => {
  const { refresh, token } = await openSimulator(t, { graceMs: 0 })

  t.match(await token({ grant_type: 'refresh_token', client_secret: 'wrong' }), BAD_CLIENT)
  t.equal((await refresh()).status, 200)
  t.match(await refresh(), INVALID_GRANT)
  t.match(await refresh('unknown'), INVALID_GRANT)
})

t.test('a paused location rejects a refresh without spending the token, and still answers calls', async (t) => {
  const { simulator, refresh, get } = await openSimulator(t, { graceMs: 0 })

  simulator.pause(SEED.locationId, true)
  const [paused, read] = [await refresh(), await get()]
  simulator.pause(SEED.locationId, false)

  t.match(paused, { status: 400, body: { message: 'Location is not active' } })
  t.equal(read.status, 200)
  t.equal((await refresh()).status, 200)
})
