import type { AccessToken } from './access-tokens.ts'
import { type Answer, catchRefusal, guardRefusal } from './answers.ts'
import type { CompanyHolder, LocationHolder } from './holders.ts'
import type { ReceivedRequest } from './journal.ts'
import type { World } from './world.ts'

const VERSIONS = new Set(['2021-04-15', '2021-07-28', '2023-02-21', 'v3'])
const WRONG_AUTH_CLASS =
  'This authClass type is not allowed to access this scope. Please verify your IAM configuration if this is not the case.'

export type Handler = (world: World, request: ReceivedRequest, ...params: string[]) => Answer
type AgencyHandler = (world: World, request: ReceivedRequest, holder: CompanyHolder) => Answer

/**
 * A route for tokens of one location. Like HighLevel, it checks version, token, auth class, scope, location and rate
 * limit, in this order. The first check that fails gives the answer.
 */
export function locationRoute(scope: string, handle: Handler): Handler {
  return (world, request, ...params) => {
    const token = authenticate(world, request)
    const { holder } = token
    if (holder.userType === 'Company') throw guardRefusal(401, WRONG_AUTH_CLASS)

    const answer = catchRefusal(() => {
      verifyScope(world, holder, scope)
      verifyLocation(token, holder, request.query['locationId'])
      if (!world.rateLimit.spend(holder.locationId)) throw guardRefusal(429, 'Too Many Requests')
      return handle(world, request, ...params)
    })
    return { ...answer, headers: world.rateLimit.headers(holder.locationId, answer.status === 429) }
  }
}

/** A route for an agency's OAuth token only. It uses no location's quota. */
export function agencyRoute(scope: string, handle: AgencyHandler): Handler {
  return (world, request) => {
    const { holder, isPrivate } = authenticate(world, request)
    if (isPrivate) throw guardRefusal(401, 'The token is not authorized for this scope.')
    if (holder.userType === 'Location') throw guardRefusal(401, WRONG_AUTH_CLASS)
    verifyScope(world, holder, scope)
    return handle(world, request, holder)
  }
}

function authenticate(world: World, { headers }: ReceivedRequest): AccessToken {
  const version = headers['version']
  if (version === undefined) throw guardRefusal(401, 'version header was not found.')
  if (!VERSIONS.has(String(version))) {
    throw guardRefusal(400, `Invalid API version segment '${version}' at position 0`)
  }
  const text = headers.authorization?.replace(/^Bearer /i, '') ?? ''
  const token = world.grants.access.find(text)
  if (token !== undefined) return token
  throw guardRefusal(401, text.startsWith('pit-') ? 'Invalid Private Integration token' : 'Invalid JWT')
}

function verifyScope(world: World, holder: LocationHolder | CompanyHolder, scope: string): void {
  if (world.locations.scopesOf(holder).includes(scope)) return
  throw guardRefusal(401, 'The token is not authorized for this scope.')
}

function verifyLocation({ uninstalled }: AccessToken, holder: LocationHolder, requested: string | undefined): void {
  if (!uninstalled && (requested === undefined || requested === holder.locationId)) return
  throw guardRefusal(403, 'The token does not have access to this location.')
}
