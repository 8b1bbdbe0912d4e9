import type { Fault, FaultTarget } from './faults.ts'
import type { CompanyHolder, LocationHolder } from './holders.ts'
import type { ReceivedRequest, TokenCall } from './journal.ts'
import type { ObjectSchema } from './objects.ts'
import type { RecordInput, StoredRecord } from './records.ts'
import { SEED } from './seed.ts'
import { isFaultKind } from './send-answer.ts'
import type { WebhookControls } from './webhooks.ts'
import type { World } from './world.ts'
import type { WriteQuirkName } from './write-quirks.ts'

/** How tests control and inspect the simulator. Where no location is given, `SEED.locationId` is meant. */
export interface Controls extends WebhookControls {
  /** API requests in order of arrival. `path` is a prefix. */
  received(filter?: { method?: string; path?: string }): ReceivedRequest[]
  clearReceived(): void
  /** Requests whose write was stored, in order, whatever their answer was. */
  stored(): ReceivedRequest[]
  failNext(fault: Fault & FaultTarget): void
  clearFaults(): void
  /** From now on, writes are answered with 200 and stored with these quirks. Without arguments: without quirks. */
  setWriteQuirks(...kinds: WriteQuirkName[]): void
  /** An authorization code as the consent page issues it for one location. */
  connect(locationId?: string): { code: string }
  /** An authorization code that yields a Company token. */
  connectCompany(options?: { approvedLocations?: string[] | undefined; bulk?: boolean }): { code: string }
  /** Issues the tokens of a location, without HTTP. `expiresIn` is in seconds. */
  grantTokens(locationId?: string): { accessToken: string; refreshToken: string; expiresIn: number }
  /** A new private integration token. */
  privateToken(locationId?: string): string
  /** Expires this access token. */
  expireToken(accessToken: string): void
  /** Expires the access tokens of the location, or all. Private tokens do not expire. */
  expireTokens(locationId?: string): void
  /** Revokes every token of the location, or all, with private tokens. */
  revokeGrants(locationId?: string): void
  /** Uninstalls the app: its tokens get 403 until it is installed again. */
  uninstall(locationId: string): void
  /** While paused, a refresh is answered with "Location is not active" and does not spend the refresh token. */
  pause(locationId: string, paused: boolean): void
  /** Limits all tokens of the location, present and future, to these scopes. */
  limitScopes(locationId: string, scopes: string[]): void
  /** Removes these members from all further answers to code exchanges. */
  omitFromInstalls(members: string[]): void
  setBurst(max: number): void
  setDaily(max: number): void
  /** A copy of the stored record. */
  record(schemaKey: string, id: string): StoredRecord | undefined
  putRecord(schemaKey: string, record: RecordInput): void
  object(schemaKey: string): ObjectSchema | undefined
  putObject(schema: ObjectSchema): void
  /** Every call of /oauth/token, in order. */
  tokenCalls(): TokenCall[]
  /** The refresh tokens issued for the location since its install, in order. All but the last are spent. */
  refreshChain(locationId: string): string[]
  /** The most API requests for the location in any burst window, with rejected ones. */
  countInWindow(locationId: string): number
}

export function createControls(world: World): Controls {
  return {
    ...journalControls(world),
    ...grantControls(world),
    ...storeControls(world),
    ...limitControls(world),
    ...world.webhooks.controls
  }
}

function journalControls({ journal, faults }: World) {
  return {
    received: (filter?: { method?: string; path?: string }) => journal.requests(filter),
    clearReceived: () => journal.clear(),
    stored: () => journal.stored(),
    tokenCalls: () => [...journal.tokenCalls],
    clearFaults: () => faults.clear(),
    failNext(fault: Fault & FaultTarget): void {
      if (!isFaultKind(fault.kind)) throw new TypeError(`No such fault: ${String(fault.kind)}`)
      faults.add(fault)
    }
  }
}

const { companyId } = SEED
const holderOf = (locationId = SEED.locationId): LocationHolder => {
  return { userType: 'Location', companyId, locationId, minted: false }
}

function grantControls({ grants, locations }: World) {
  return {
    connect: (locationId?: string) => ({ code: grants.issueCode(holderOf(locationId)) }),
    connectCompany({
      approvedLocations,
      bulk = false
    }: {
      approvedLocations?: string[] | undefined
      bulk?: boolean
    } = {}) {
      const holder: CompanyHolder = { userType: 'Company', companyId, approvedLocations, bulk }
      return { code: grants.issueCode(holder) }
    },
    grantTokens(locationId?: string) {
      const { accessToken, refreshToken, expiresIn } = grants.issuePair(holderOf(locationId))
      return { accessToken, refreshToken, expiresIn }
    },
    refreshChain: (locationId: string) => grants.refresh.chain(locationId),
    privateToken: (locationId?: string) => grants.access.addPrivate(holderOf(locationId)),
    expireToken: (accessToken: string) => grants.access.expireOne(accessToken),
    expireTokens: (locationId?: string) => grants.access.expire(locationId),
    revokeGrants(locationId?: string): void {
      grants.access.revoke(locationId)
      grants.refresh.revoke(locationId)
    },
    uninstall(locationId: string): void {
      grants.access.uninstall(locationId)
      grants.refresh.revoke(locationId)
      locations.uninstall(locationId)
    },
    pause: (locationId: string, paused: boolean) => locations.pause(locationId, paused),
    limitScopes: (locationId: string, scopes: string[]) => locations.limitScopes(locationId, scopes)
  }
}

function storeControls({ objects, records, writeQuirks }: World) {
  const keyOf = (schemaKey: string) => objects.find(schemaKey)?.schema.key ?? schemaKey
  return {
    record: (schemaKey: string, id: string) => structuredClone(records.find(keyOf(schemaKey), id)),
    putRecord: (schemaKey: string, record: RecordInput) => records.put(keyOf(schemaKey), structuredClone(record)),
    object: (schemaKey: string) => structuredClone(objects.find(schemaKey)?.schema),
    putObject: (schema: ObjectSchema) => objects.put(structuredClone(schema)),
    setWriteQuirks(...kinds: WriteQuirkName[]): void {
      writeQuirks.clear()
      for (const kind of kinds) writeQuirks.add(kind)
    }
  }
}

function limitControls({ settings, rateLimit }: World) {
  return {
    omitFromInstalls(members: string[]): void {
      settings.omitted = members
    },
    setBurst(max: number): void {
      settings.burstMax = max
    },
    setDaily(max: number): void {
      settings.dailyMax = max
    },
    countInWindow: (locationId: string) => rateLimit.peak(locationId)
  }
}
