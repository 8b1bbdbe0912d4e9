import t from 'tap'
import { SEED } from './seed.ts'
import { openSimulator, textIn } from './test-client.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const WRONG_CLASS = /^This authClass type is not allowed to access this scope\./
const INVALID_GRANT = { status: 400, body: { error: 'invalid_grant' } }

t.test('the guards check in HighLevel’s order, each with its own message', async (t) => {
  const { simulator, call, token } = await openSimulator(t)
  const company = textIn(
    (await token({ grant_type: 'authorization_code', ...simulator.connectCompany() })).body,
    'access_token'
  )
  const path = `/objects/business?locationId=${SEED.secondLocationId}`

  const noVersion = await fetch(simulator.origin + path)
  t.match(await noVersion.json(), { statusCode: 401, message: 'version header was not found.' })
  t.match(await call(path, { token: '', headers: { version: 'bogus-version' } }), {
    status: 400,
    body: { message: "Invalid API version segment 'bogus-version' at position 0" }
  })
  t.match(await call(path, { token: 'x' }), { status: 401, body: { statusCode: 401, message: 'Invalid JWT' } })
  t.match(await call(path, { token: 'pit-x' }), { status: 401, body: { message: 'Invalid Private Integration token' } })
  t.match(await call(path, { token: company }), { status: 401, body: { message: WRONG_CLASS } })
  t.match(await call(path), {
    status: 403,
    body: { statusCode: 403, message: 'The token does not have access to this location.' }
  })
  simulator.limitScopes(SEED.locationId, ['objects/record.readonly'])
  t.match(await call(path), {
    status: 401,
    body: { statusCode: 401, message: 'The token is not authorized for this scope.' }
  })
})

t.test('access tokens can be expired and revoked', async (t) => {
  const { simulator, call, get, refresh } = await openSimulator(t)
  const pit = simulator.privateToken()
  const withPit = () => call(`/objects/business?locationId=${SEED.locationId}`, { token: pit })

  simulator.expireTokens()
  t.match(await get(), { status: 401, body: { message: 'Invalid JWT' } })
  t.equal((await withPit()).status, 200, 'a private token does not expire')
  t.equal((await refresh()).status, 200, 'nor does a refresh token')

  simulator.revokeGrants(SEED.locationId)
  t.match(await withPit(), { status: 401, body: { message: 'Invalid Private Integration token' } })
  t.match(await refresh(), INVALID_GRANT)
})

t.test('an uninstalled location rejects its old tokens and accepts those of a new install', async (t) => {
  const { simulator, get, refresh, token, call } = await openSimulator(t)

  simulator.uninstall(SEED.locationId)
  t.match(await get(), { status: 403, body: { message: 'The token does not have access to this location.' } })
  t.match(await refresh(), INVALID_GRANT)

  const renewed = await token({ grant_type: 'authorization_code', ...simulator.connect() })
  const path = `/objects/business?locationId=${SEED.locationId}`
  t.equal((await call(path, { token: textIn(renewed.body, 'access_token') })).status, 200)
  t.equal((await get()).status, 403)
})

t.test('an agency mints tokens of its approved locations, and lists these', async (t) => {
  const { simulator, call, token, accessToken } = await openSimulator(t)
  const { companyId, secondLocationId: locationId } = SEED
  const install = await token({
    grant_type: 'authorization_code',
    ...simulator.connectCompany({ approvedLocations: [locationId], bulk: true })
  })
  const agency = textIn(install.body, 'access_token')
  const mint = (form: Record<string, string>, text = agency) =>
    call('/oauth/locationToken', {
      method: 'POST',
      token: text,
      headers: FORM,
      body: new URLSearchParams(form).toString()
    })

  t.match(install.body, { userType: 'Company', companyId, isBulkInstallation: true, approvedLocations: [locationId] })
  t.notMatch(install.body, { locationId: String })
  const minted = await mint({ companyId, locationId })
  t.match(minted, {
    status: 201,
    body: { userType: 'Location', locationId, expires_in: 86_400, refresh_token: /.+/, scope: /oauth\.write/ }
  })
  t.equal(
    (await call(`/objects/business?locationId=${locationId}`, { token: textIn(minted.body, 'access_token') })).status,
    200
  )
  t.match(await mint({ companyId, locationId: SEED.locationId }), { status: 403 })
  t.match(await mint({ companyId }), {
    status: 422,
    body: { message: ['locationId must be a string', 'locationId should not be empty'] }
  })
  t.match(await mint({}, accessToken), { status: 401, body: { message: WRONG_CLASS } })
  t.match(await mint({}, simulator.privateToken()), {
    status: 401,
    body: { message: 'The token is not authorized for this scope.' }
  })

  const listed = await call(`/oauth/installedLocations?companyId=${companyId}&appId=x`, { token: agency })
  t.match(listed, {
    status: 200,
    body: { count: 1, locations: [{ _id: locationId, isInstalled: true }], traceId: /.+/ }
  })
})
