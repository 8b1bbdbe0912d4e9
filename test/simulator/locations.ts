import type { Holder } from './holders.ts'

const RECORD_SCOPES = ['objects/schema.readonly', 'objects/record.readonly', 'objects/record.write']
const WITH_AGENCY_SCOPES = [...RECORD_SCOPES, 'oauth.readonly', 'oauth.write']

export type Locations = ReturnType<typeof createLocations>

/** What holds for a location as a whole, whichever token asks. */
export function createLocations() {
  const paused = new Set<string>()
  const uninstalled = new Set<string>()
  const limits = new Map<string, string[]>()

  return {
    isPaused: (locationId: string) => paused.has(locationId),
    pause(locationId: string, on: boolean): void {
      if (on) paused.add(locationId)
      else paused.delete(locationId)
    },
    isInstalled: (locationId: string) => !uninstalled.has(locationId),
    install: (locationId: string) => void uninstalled.delete(locationId),
    uninstall: (locationId: string) => void uninstalled.add(locationId),
    limitScopes: (locationId: string, scopes: string[]) => void limits.set(locationId, scopes),
    /** A token that was minted from an agency's gains the agency's two scopes. */
    scopesOf(holder: Holder): string[] {
      if (holder.userType === 'Company') return WITH_AGENCY_SCOPES
      return limits.get(holder.locationId) ?? (holder.minted ? WITH_AGENCY_SCOPES : RECORD_SCOPES)
    }
  }
}
