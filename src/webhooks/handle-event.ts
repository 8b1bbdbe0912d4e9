import type { BaseLogger } from 'pino'
import type { Grant, Subject } from '../grants/grant.ts'
import { VERIFY_EVERY_MS } from '../grants/renewal/schedule.ts'
import { isUsable } from '../grants/usable.ts'
import type { Vault } from '../grants/vault/vault.ts'
import type { CompanyOf } from './company-of.ts'
import { KEPT_MS, type WebhookEvent } from './event.ts'

/** `pending`: noted, and to be verified with HighLevel. */
export type EventResult = 'done' | 'pending' | 'duplicate' | 'ignored'

const UNINSTALLED = 'the app was uninstalled'

/** The copies of objects are not older than this, so that an older event tells nothing new of them. */
const COPIES_AGE_MS = 5 * 60_000

const schemaEvents: ReadonlySet<string> = new Set(['ObjectSchemaCreate', 'ObjectSchemaUpdate'])
const installEvents: ReadonlySet<string> = new Set(['INSTALL', 'UNINSTALL'])

const subjectOf = ({ locationId, companyId }: WebhookEvent): Subject | undefined =>
  locationId !== undefined ? `location:${locationId}` : companyId !== undefined ? `company:${companyId}` : undefined

/** Whether HighLevel can be asked for new tokens of this grant. Else its token is used for as long as it lasts. */
const isRenewable = ({ kind, companyId, tokens }: Grant): boolean =>
  kind === 'minted' || companyId !== null || tokens?.refreshToken !== undefined

/** Whether an event has changed what is stored; `pending` where that is not known yet. */
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
  /** The app that this gateway is; an event of another app is signed by HighLevel as well. */
  appId: string | undefined
  /** Drops what the process remembers of a location. */
  forget: (locationId: string) => void
  /** Drops what it remembers of the location's objects. */
  dropSchemas: (locationId: string) => void
  companyOf: CompanyOf
  now: () => number
  log: BaseLogger
}

/** Carries out events: each is safe to repeat, and an event that is older than what is stored changes nothing. */
export function createHandleEvent({ vault, appId, forget, dropSchemas, companyOf, now, log }: Deps) {
  /** Under a company that is connected the location's token is minted by the next sweep; else when the company comes. */
  const install = async ({ locationId, companyId: named, timestamp }: WebhookEvent): Promise<boolean> => {
    if (locationId === undefined) return false
    const { companyId, isSure } =
      named === undefined ? ((await companyOf(locationId)) ?? {}) : { companyId: named, isSure: true }
    if (companyId === undefined) return false
    const company = await vault.loadGrant(`company:${companyId}`)
    const isReady = company !== undefined && company.state !== 'uninstalled' && isUsable(company, now())
    // A guess is minted with its first call: HighLevel may refuse it, and that would alarm somebody.
    const when = { dueAt: isReady && isSure ? now() : null, waits: !isReady }
    return vault.addMintedLocation(locationId, companyId, notAhead(timestamp), when)
  }

  /** Not later than now: a clock of HighLevel's that is ahead must not make an event newer than what follows it here. */
  const notAhead = (timestamp = now()) => Math.min(timestamp, now())

  const uninstall = async ({ locationId, companyId }: WebhookEvent, at: number): Promise<boolean> => {
    if (locationId !== undefined) {
      const subject: Subject = `location:${locationId}`
      // A private integration is no part of the app.
      if ((await vault.loadGrant(subject))?.kind === 'private') return false
      const hasForgotten = await vault.markUninstalled(subject, UNINSTALLED, at)
      await vault.recordUninstall(subject, at)
      return hasForgotten
    }
    return companyId !== undefined && (await vault.markCompanyUninstalled(companyId, UNINSTALLED, at)) > 0
  }

  /**
   * An uninstall without a time may be older than the install that is held. The renewal that it makes due asks HighLevel,
   * whatever becomes of this process: what HighLevel has ended is forgotten, and anything else keeps the grant.
   */
  const verifyUninstall = async (event: WebhookEvent, isRepeated: boolean): Promise<Change> => {
    const [subject, at] = [subjectOf(event), now()]
    const grant = subject && (await vault.loadGrant(subject))
    if (grant === undefined || grant.kind === 'private' || grant.state === 'uninstalled') return false
    // The same bytes may tell of another uninstall, and count again; but not for one question each.
    const earliest = isRepeated ? Math.min(grant.tokens?.issuedAt ?? 0, at) + VERIFY_EVERY_MS : at
    await vault.reportUninstall(grant.subject, at, isRenewable(grant) ? Math.max(at, earliest) : null)
    return (await vault.confirmUninstall(grant.subject, at)) || 'pending'
  }

  const carryOut = (event: WebhookEvent, isRepeated: boolean): Promise<Change> => {
    if (event.type === 'INSTALL') return install(event)
    return event.timestamp === undefined
      ? verifyUninstall(event, isRepeated)
      : uninstall(event, notAhead(event.timestamp))
  }

  /** Resolves once what the event changes is stored. Rejects with the driver's error where it cannot be. */
  return async function take(event: WebhookEvent): Promise<EventResult> {
    if (schemaEvents.has(event.type)) {
      // Nothing is stored, and nothing has to be: an event that does not come is made up for by the copies' age.
      if (event.locationId === undefined || now() - (event.timestamp ?? now()) > COPIES_AGE_MS) return 'ignored'
      dropSchemas(event.locationId)
      return 'done'
    }
    if (!installEvents.has(event.type) || appId === undefined || event.appId !== appId) return 'ignored'
    const isRepeated = await vault.hasWebhook(event.id)
    const isUndatedUninstall = event.type === 'UNINSTALL' && event.timestamp === undefined
    if (isRepeated && !isUndatedUninstall) return 'duplicate'

    const hasChanged = await carryOut(event, isRepeated)
    // After the change: a process that dies between the two carries it out again, which changes nothing more.
    await vault.addWebhook(event.id, now() - KEPT_MS)
    if (event.locationId !== undefined && hasChanged !== 'pending') {
      forget(event.locationId)
      dropSchemas(event.locationId)
    }
    log.info({ type: event.type, location: event.locationId, company: event.companyId, hasChanged }, 'a webhook')
    return hasChanged === 'pending' ? 'pending' : 'done'
  }
}

export type HandleEvent = ReturnType<typeof createHandleEvent>
