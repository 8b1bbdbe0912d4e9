import { type Answer, Refusal, requestRefusal } from './answers.ts'
import type { Holder } from './holders.ts'
import type { ReceivedRequest, TokenCall } from './journal.ts'
import type { Pair } from './refresh-tokens.ts'
import { SEED } from './seed.ts'
import type { World } from './world.ts'

export const TOKEN_PATH = '/oauth/token'

type Exchange = (world: World, form: URLSearchParams) => Answer

/** Checks the code before the client, so a wrong client with an unknown code is told about the code. */
const exchangeCode: Exchange = (world, form) => {
  const code = form.get('code') ?? ''
  const holder = world.grants.codes.get(code)
  if (holder === undefined) throw unauthorized('Authorization code not found')
  verifyClient(world, form)
  world.grants.codes.delete(code)
  const members = Object.entries(tokenBody(world, holder, world.grants.issuePair(holder)))
  return { status: 200, body: Object.fromEntries(members.filter(([name]) => !world.settings.omitted.includes(name))) }
}

/** A paused location keeps its refresh token: it works again once the location is active. */
const exchangeRefreshToken: Exchange = (world, form) => {
  verifyClient(world, form)
  const { refresh, issuePair } = world.grants
  const spent = form.get('refresh_token') ?? ''
  const holder = refresh.holderOf(spent)
  if (holder === undefined) throw invalidGrant()
  if (holder.userType === 'Location' && world.locations.isPaused(holder.locationId)) throw locationNotActive()

  let pair = refresh.pairInGrace(spent)
  if (pair === undefined) {
    pair = issuePair(holder)
    refresh.use(spent, pair)
  }
  return { status: 200, body: tokenBody(world, holder, pair) }
}

const EXCHANGES = new Map([
  ['authorization_code', exchangeCode],
  ['refresh_token', exchangeRefreshToken]
])

/** POST /oauth/token, form-encoded. */
export function exchangeToken(world: World, { body }: ReceivedRequest): Answer {
  const form = new URLSearchParams(body)
  const grantType = form.get('grant_type')
  const exchange = EXCHANGES.get(grantType ?? '')
  if (exchange !== undefined) return exchange(world, form)
  const messages = ['grant_type must be a valid enum value']
  throw requestRefusal(422, grantType === null ? [...messages, 'grant_type should not be empty'] : messages)
}

/** Describes a token call. Must run before the call is executed, which may spend the token. */
export function describeTokenCall({ grants }: World, { body, at }: ReceivedRequest): Omit<TokenCall, 'status'> {
  const form = new URLSearchParams(body)
  const grantType = form.get('grant_type') ?? ''
  const refreshToken = form.get('refresh_token')
  if (refreshToken === null) return { grantType, at, withinGrace: false }
  return { grantType, refreshToken, at, withinGrace: grants.refresh.pairInGrace(refreshToken) !== undefined }
}

export function tokenBody(world: World, holder: Holder, pair: Pair): Record<string, unknown> {
  const common = {
    access_token: pair.accessToken,
    token_type: 'Bearer',
    expires_in: pair.expiresIn,
    refresh_token: pair.refreshToken,
    scope: world.locations.scopesOf(holder).join(' '),
    refreshTokenId: pair.refreshTokenId,
    userType: holder.userType,
    companyId: holder.companyId,
    userId: SEED.userId
  }
  if (holder.userType === 'Location') return { ...common, isBulkInstallation: false, locationId: holder.locationId }
  return { ...common, isBulkInstallation: holder.bulk, approvedLocations: holder.approvedLocations }
}

/** The message is documented, the shape of the body is not. */
export const locationNotActive = () => requestRefusal(400, 'Location is not active')

const unauthorized = (description: string) =>
  new Refusal(401, { error: 'UnAuthorized!', error_description: description })

const invalidGrant = () =>
  new Refusal(400, { error: 'invalid_grant', error_description: 'Invalid grant: refresh token is invalid' })

function verifyClient({ settings }: World, form: URLSearchParams): void {
  if (form.get('client_id') === settings.clientId && form.get('client_secret') === settings.clientSecret) return
  throw unauthorized('Invalid client credentials!')
}
