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

/** How a test steers HighLevel and looks into it. What is issued without a location is for `SEED.locationId`. */
export interface Controls extends WebhookControls {
  /** API requests in order of arrival; `path` is a prefix. */
  received(filter?: { method?: string; path?: string }): ReceivedRequest[]
  clearReceived(): void
  /** Writes that were stored, in order, whatever they were answered with. */
  stored(): ReceivedRequest[]
  failNext(fault: Fault & FaultTarget): void
  clearFaults(): void
  /** From now on writes are answered with 200 and done but for this; nothing where none is named. */
  setWriteQuirks(...kinds: WriteQuirkName[]): void
  /** An authorization code as the consent page issues it for one location. */
  connect(locationId?: string): { code: string }
  /** An authorization code that yields a Company token. */
  connectCompany(options?: { approvedLocations?: string[] | undefined; bulk?: boolean }): { code: string }
  /** A Location pair without any HTTP; `expiresIn` is in seconds. */
  grantTokens(locationId?: string): { accessToken: string; refreshToken: string; expiresIn: number }
  /** A new private integration token. */
  privateToken(locationId?: string): string
  /** This access token is now expired. */
  expireToken(accessToken: string): void
  /** Access tokens (of the location, else all) are now expired. Private ones do not expire. */
  expireTokens(locationId?: string): void
  /** Every token (of the location, else all) is dead, private ones included. */
  revokeGrants(locationId?: string): void
  /** The app leaves the location: 403 for its tokens until it is installed anew. */
  uninstall(locationId: string): void
  /** While paused, a refresh answers "Location is not active" and spends nothing. */
  pause(locationId: string, paused: boolean): void
  /** All tokens of the location, present and future, hold these scopes alone. */
  limitScopes(locationId: string, scopes: string[]): void
  /** From now on the answers to code exchanges lack these members. */
  omitFromInstalls(members: string[]): void
  setBurst(max: number): void
  setDaily(max: number): void
  /** A copy of what is stored now. */
  record(schemaKey: string, id: string): StoredRecord | undefined
  putRecord(schemaKey: string, record: RecordInput): void
  object(schemaKey: string): ObjectSchema | undefined
  putObject(schema: ObjectSchema): void
  /** Every call of /oauth/token, in order. */
  tokenCalls(): TokenCall[]
  /** The refresh tokens that were issued for the location since its install, in order; all but the last are spent. */
  refreshChain(locationId: string): string[]
  /** The most API requests, refused ones included, that the location sent in any one burst window. */
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
