import type { Holder } from './holders.ts'

const RECORD_SCOPES = ['objects/schema.readonly', 'objects/record.readonly', 'objects/record.write']
const WITH_AGENCY_SCOPES = [...RECORD_SCOPES, 'oauth.readonly', 'oauth.write']

export type Locations = ReturnType<typeof createLocations>

/** The state of locations that applies to all their tokens. */
export function createLocations() {
  const paused = new Set<string>()
  const uninstalled = new Set<string>()
  const limitedScopes = new Map<string, string[]>()

  return {
    isPaused: (locationId: string) => paused.has(locationId),
    pause(locationId: string, on: boolean): void {
      if (on) paused.add(locationId)
      else paused.delete(locationId)
    },
    isInstalled: (locationId: string) => !uninstalled.has(locationId),
    install: (locationId: string) => void uninstalled.delete(locationId),
    uninstall: (locationId: string) => void uninstalled.add(locationId),
    limitScopes: (locationId: string, scopes: string[]) => void limitedScopes.set(locationId, scopes),
    /** A minted token also has the two scopes of the agency's token. */
    scopesOf(holder: Holder): string[] {
      if (holder.userType === 'Company') return WITH_AGENCY_SCOPES
      return limitedScopes.get(holder.locationId) ?? (holder.minted ? WITH_AGENCY_SCOPES : RECORD_SCOPES)
    }
  }
}
