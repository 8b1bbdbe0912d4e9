import type { BaseLogger } from 'pino'
import { type Grant, isUsable, type Subject } from '../grants/grant.ts'
import { VERIFY_EVERY_MS } from '../grants/renewal/schedule.ts'
import type { Vault } from '../grants/vault/vault.ts'
import type { Clock } from '../shared/clock.ts'
import { EVENT_ID_KEPT_MS, type WebhookEvent } from './event.ts'
import type { FindCompany } from './find-company.ts'

/** `pending`: recorded, and still to be verified with HighLevel. */
export type EventResult = 'done' | 'pending' | 'duplicate' | 'ignored'

const UNINSTALLED = 'the app was uninstalled'

/** Cached schemas are fetched again after this time, so that an older schema event says nothing new. */
const SCHEMA_REFRESHED_AFTER_MS = 5 * 60_000

const schemaEvents: ReadonlySet<string> = new Set(['ObjectSchemaCreate', 'ObjectSchemaUpdate'])
const installEvents: ReadonlySet<string> = new Set(['INSTALL', 'UNINSTALL'])

const subjectOf = ({ locationId, companyId }: WebhookEvent): Subject | undefined =>
  locationId !== undefined ? `location:${locationId}` : companyId !== undefined ? `company:${companyId}` : undefined

/** Whether the gateway can get new tokens for this grant. If not, its access token is used until it expires. */
const isRenewable = ({ kind, companyId, tokens }: Grant): boolean =>
  kind === 'minted' || companyId !== null || tokens?.refreshToken !== undefined

/** Whether an event changed what is stored. `pending`: not known yet. */
type Change = boolean | 'pending'

interface Deps {
  vault: Pick<
    Vault,
    | 'hasWebhook'
    | 'addWebhook'
    | 'loadGrant'
    | 'addMintedLocation'
    | 'markUninstalled'
    | 'recordUninstall'
    | 'markCompanyUninstalled'
    | 'reportUninstall'
    | 'confirmUninstall'
  >
  /** The id of this gateway's app. HighLevel signs the events of other apps with the same key. */
  appId: string | undefined
  /** Drops the cached token of a location. */
  dropCachedToken: (locationId: string) => void
  /** Drops the cached schemas of a location. */
  dropCachedSchemas: (locationId: string) => void
  findCompany: FindCompany
  clock: Clock
  log: BaseLogger
}

/** Handles events. Each is safe to repeat, and an event that is older than what is stored changes nothing. */
export function createHandleEvent(deps: Deps) {
  const { vault, appId, dropCachedToken, dropCachedSchemas, findCompany, clock, log } = deps

  /** Caps a time at now: if HighLevel's clock is ahead, the event must not seem newer than events that follow it. */
  const notAhead = (timestamp = clock.now()) => Math.min(timestamp, clock.now())

  /**
   * If the location's company is connected, the renewal worker mints the location's token at once. If not, the location
   * waits until its company is connected.
   */
  const install = async (event: WebhookEvent): Promise<boolean> => {
    const { locationId, timestamp } = event
    if (locationId === undefined) return false
    const { companyId, isCertain } =
      event.companyId === undefined
        ? ((await findCompany(locationId)) ?? {})
        : { companyId: event.companyId, isCertain: true }
    if (companyId === undefined) return false
    const company = await vault.loadGrant(`company:${companyId}`)
    const isReady = company !== undefined && company.state !== 'uninstalled' && isUsable(company, clock.now())
    // If the company is a guess, the token is minted on the first call only: a refused mint would raise an alarm.
    const schedule = { dueAt: isReady && isCertain ? clock.now() : null, waitsForCompany: !isReady }
    return vault.addMintedLocation(locationId, companyId, notAhead(timestamp), schedule)
  }

  const uninstall = async ({ locationId, companyId }: WebhookEvent, at: number): Promise<boolean> => {
    if (locationId !== undefined) {
      const subject: Subject = `location:${locationId}`
      // A private integration token does not belong to the app.
      if ((await vault.loadGrant(subject))?.kind === 'private') return false
      const hasChanged = await vault.markUninstalled(subject, UNINSTALLED, at)
      await vault.recordUninstall(subject, at)
      return hasChanged
    }
    return companyId !== undefined && (await vault.markCompanyUninstalled(companyId, UNINSTALLED, at)) > 0
  }

  /**
   * An uninstall without a time may be older than the current install. So it makes the grant due for renewal, which any
   * process can carry out. If HighLevel has ended the grant, the uninstall is confirmed. Otherwise the grant is kept.
   */
  const verifyUninstall = async (event: WebhookEvent, isRepeated: boolean): Promise<Change> => {
    const [subject, at] = [subjectOf(event), clock.now()]
    const grant = subject && (await vault.loadGrant(subject))
    if (grant === undefined || grant.kind === 'private' || grant.state === 'uninstalled') return false
    // The same bytes may report another uninstall, so they count again. But HighLevel is not asked again for each.
    const earliest = isRepeated ? Math.min(grant.tokens?.issuedAt ?? 0, at) + VERIFY_EVERY_MS : at
    await vault.reportUninstall(grant.subject, at, isRenewable(grant) ? Math.max(at, earliest) : null)
    return (await vault.confirmUninstall(grant.subject, at)) || 'pending'
  }

  const applyEvent = (event: WebhookEvent, isRepeated: boolean): Promise<Change> => {
    if (event.type === 'INSTALL') return install(event)
    return event.timestamp === undefined
      ? verifyUninstall(event, isRepeated)
      : uninstall(event, notAhead(event.timestamp))
  }

  /** Resolves once the changes are stored. Rejects with the driver's error if the vault cannot store them. */
  return async function handleEvent(event: WebhookEvent): Promise<EventResult> {
    if (schemaEvents.has(event.type)) {
      // Nothing is stored, and nothing has to be: if an event is lost, the cached schema is still fetched again within minutes.
      if (event.locationId === undefined || clock.now() - (event.timestamp ?? clock.now()) > SCHEMA_REFRESHED_AFTER_MS)
        return 'ignored'
      dropCachedSchemas(event.locationId)
      return 'done'
    }
    if (!installEvents.has(event.type) || appId === undefined || event.appId !== appId) return 'ignored'
    const isRepeated = await vault.hasWebhook(event.id)
    const isUndatedUninstall = event.type === 'UNINSTALL' && event.timestamp === undefined
    if (isRepeated && !isUndatedUninstall) return 'duplicate'

    const hasChanged = await applyEvent(event, isRepeated)
    // After the change: if the process dies between the two, the repeated event is applied again and changes nothing.
    await vault.addWebhook(event.id, clock.now() - EVENT_ID_KEPT_MS)
    if (event.locationId !== undefined && hasChanged !== 'pending') {
      dropCachedToken(event.locationId)
      dropCachedSchemas(event.locationId)
    }
    log.info(
      { type: event.type, location: event.locationId, company: event.companyId, hasChanged },
      'a webhook was handled'
    )
    return hasChanged === 'pending' ? 'pending' : 'done'
  }
}

export type HandleEvent = ReturnType<typeof createHandleEvent>
