import { listInstalledLocations, mintLocationToken } from './agency.ts'
import { type Answer, catchRefusal, requestRefusal } from './answers.ts'
import { agencyRoute, type Handler, locationRoute } from './guards.ts'
import type { ReceivedRequest } from './journal.ts'
import { exchangeToken } from './oauth.ts'
import { readObject } from './objects.ts'
import { readRecord, updateRecord } from './record-routes.ts'
import type { World } from './world.ts'

const RECORD = /^\/objects\/([^/]+)\/records\/([^/]+)$/
const OBJECT = /^\/objects\/([^/]+)$/

/** The part of HighLevel's API that is simulated. */
const ROUTES: { method: string; path: RegExp; handle: Handler }[] = [
  { method: 'PUT', path: RECORD, handle: locationRoute('objects/record.write', updateRecord) },
  { method: 'GET', path: RECORD, handle: locationRoute('objects/record.readonly', readRecord) },
  { method: 'GET', path: OBJECT, handle: locationRoute('objects/schema.readonly', readObject) },
  { method: 'POST', path: /^\/oauth\/token$/, handle: exchangeToken },
  { method: 'POST', path: /^\/oauth\/locationToken$/, handle: agencyRoute('oauth.write', mintLocationToken) },
  {
    method: 'GET',
    path: /^\/oauth\/installedLocations$/,
    handle: agencyRoute('oauth.readonly', listInstalledLocations)
  }
]

export function routeRequest(world: World, request: ReceivedRequest): Answer {
  return catchRefusal(() => {
    for (const { method, path, handle } of ROUTES) {
      const match = method === request.method ? path.exec(request.path) : null
      if (match !== null) return handle(world, request, ...match.slice(1).map(decode))
    }
    throw requestRefusal(404, `Cannot ${request.method} ${request.path}`)
  })
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw requestRefusal(400, `Failed to decode param '${segment}'`)
  }
}
