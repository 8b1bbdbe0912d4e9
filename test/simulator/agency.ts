import { type Answer, guardRefusal, requestRefusal } from './answers.ts'
import { isJson, parseJson } from './bodies.ts'
import type { CompanyHolder, LocationHolder } from './holders.ts'
import type { ReceivedRequest } from './journal.ts'
import { locationNotActive, tokenBody } from './oauth.ts'
import { SEED } from './seed.ts'
import { appIdOf } from './settings.ts'
import type { World } from './world.ts'

const MINTED_TTL_SECONDS = 86_400
const INSTALLED_AT = '2024-07-11T09:00:00.000Z'

/** POST /oauth/locationToken: mints a token of one of the agency's locations. Can be repeated any number of times. */
export function mintLocationToken(world: World, request: ReceivedRequest, company: CompanyHolder): Answer {
  const { companyId, locationId } = readParams(request)
  if (typeof companyId !== 'string' || typeof locationId !== 'string') throw missingParams({ companyId, locationId })
  const isReachable = company.companyId === companyId && isApproved(company, locationId)
  if (!isReachable || !world.locations.isInstalled(locationId)) {
    throw guardRefusal(403, 'The token does not have access to this location.')
  }
  if (world.locations.isPaused(locationId)) throw locationNotActive()

  const holder: LocationHolder = { userType: 'Location', companyId, locationId, minted: true }
  const pair = world.grants.issuePair(holder, MINTED_TTL_SECONDS)
  return { status: 201, body: tokenBody(world, holder, pair) }
}

/** GET /oauth/installedLocations */
export function listInstalledLocations(world: World, { query }: ReceivedRequest, company: CompanyHolder): Answer {
  const { companyId, appId, locationId, isInstalled, skip = '0', limit = '20' } = query
  if (companyId === undefined || appId === undefined) throw missingParams({ companyId, appId })
  const versionId = appIdOf(world.settings.clientId)
  const locations = SEED.locations
    .filter(({ id }) => isApproved(company, id) && (locationId === undefined || locationId === id))
    .map(({ id, name, address }) => {
      return {
        _id: id,
        name,
        address,
        isInstalled: world.locations.isInstalled(id),
        versionId,
        installedAt: INSTALLED_AT
      }
    })
    .filter((location) => isInstalled === undefined || String(location.isInstalled) === isInstalled)
  const page = locations.slice(Number(skip), Number(skip) + Number(limit))
  return { status: 200, body: { locations: page, count: locations.length, installToFutureLocations: false } }
}

const isApproved = ({ approvedLocations }: CompanyHolder, locationId: string) =>
  approvedLocations?.includes(locationId) ?? true

/** Parameters are form-encoded or JSON: HighLevel documents both. */
const readParams = (request: ReceivedRequest): Record<string, unknown> =>
  isJson(request) ? parseJson(request) : Object.fromEntries(new URLSearchParams(request.body))

function missingParams(params: Record<string, unknown>) {
  const names = Object.keys(params).filter((name) => typeof params[name] !== 'string')
  return requestRefusal(
    422,
    names.flatMap((name) => [`${name} must be a string`, `${name} should not be empty`])
  )
}
