import { hash } from 'node:crypto'
import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import type { Subject } from '../tokens/grant.ts'
import { isUsable } from '../tokens/usable.ts'
import type { Vault } from '../tokens/vault.ts'

/** A webhook as far as it is of use. Everything but `type` may be missing. */
export interface WebhookEvent {
  type: string
  appId?: string | undefined
  locationId?: string | undefined
  companyId?: string | undefined
  /** Epoch milliseconds. */
  timestamp?: number | undefined
  /** HighLevel's id of the delivery, else the digest of its bytes. */
  id: string
}

export type Outcome = 'done' | 'duplicate' | 'ignored'

const ID = /^[A-Za-z0-9_-]{1,64}$/
const DELIVERY = /^[\x21-\x7e]{1,128}$/

/** HighLevel repeats a delivery for hours. What is older may be one that somebody has kept. */
const OLDEST_MS = 86_400_000
/** How far HighLevel's clock may be ahead of this one. */
const AHEAD_MS = 5 * 60_000
/** Longer than a delivery is taken, so that none is carried out twice. */
const KEPT_MS = OLDEST_MS + 2 * AHEAD_MS
/** The copies of objects are not older than this, so that an older event tells nothing new of them. */
const COPIES_AGE_MS = 5 * 60_000

const word = (value: unknown, pattern: RegExp) => (typeof value === 'string' && pattern.test(value) ? value : undefined)

const time = (value: unknown): number | undefined => {
  const at = typeof value === 'string' ? Date.parse(value) : typeof value === 'number' ? value : Number.NaN
  return Number.isFinite(at) ? Math.trunc(at) : undefined
}

/** Whether a delivery of this time is taken. One without a time is: its handler has to bear that. */
export const isTimely = ({ timestamp }: WebhookEvent, now: number): boolean =>
  timestamp === undefined || (timestamp > now - OLDEST_MS && timestamp <= now + AHEAD_MS)

/** Reads a delivery. Throws a Problem where it is no event at all. */
export function readEvent(raw: Buffer): WebhookEvent {
  let body: unknown
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(raw))
  } catch {
    throw new Problem('invalid-json', 'The body is not valid JSON')
  }
  const members = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
  const type = word(members['type'], /^[A-Za-z]{1,64}$/)
  if (type === undefined) throw new Problem('invalid-request', 'The body is no event: it has no type')
  return {
    type,
    appId: word(members['appId'], ID),
    locationId: word(members['locationId'], ID),
    companyId: word(members['companyId'], ID),
    timestamp: time(members['timestamp']),
    id: word(members['webhookId'], DELIVERY) ?? `sha256:${hash('sha256', raw, 'hex')}`
  }
}

const schemaEvents: ReadonlySet<string> = new Set(['ObjectSchemaCreate', 'ObjectSchemaUpdate'])

interface Deps {
  vault: Pick<
    Vault,
    'hasWebhook' | 'addWebhook' | 'loadGrant' | 'enrolLocation' | 'forgetGrant' | 'noteUninstall' | 'forgetCompany'
  >
  /** The app that this gateway is; an event of another app is signed by HighLevel as well. */
  appId: string | undefined
  /** Drops what the process remembers of a location. */
  forget: (locationId: string) => void
  /** Drops what it remembers of the location's objects. */
  dropSchemas: (locationId: string) => void
  now: () => number
  log: BaseLogger
}

/** Carries out events: each is safe to repeat, and an event that is older than what is stored changes nothing. */
export function createEvents({ vault, appId, forget, dropSchemas, now, log }: Deps) {
  /** Under a company that is connected the location's token is minted by the next sweep; else when the company comes. */
  const install = async ({ locationId, companyId }: WebhookEvent, at: number): Promise<boolean> => {
    if (locationId === undefined || companyId === undefined) return false
    const company = await vault.loadGrant(`company:${companyId}`)
    const isReady = company !== undefined && company.state !== 'uninstalled' && isUsable(company, now())
    return vault.enrolLocation(locationId, companyId, at, { dueAt: isReady ? now() : null, waits: !isReady })
  }

  const uninstall = async ({ locationId, companyId }: WebhookEvent, at: number): Promise<boolean> => {
    if (locationId !== undefined) {
      const subject: Subject = `location:${locationId}`
      // A private integration is no part of the app.
      if ((await vault.loadGrant(subject))?.kind === 'private') return false
      const hasForgotten = await vault.forgetGrant(subject, 'the app was uninstalled', at)
      await vault.noteUninstall(subject, at)
      return hasForgotten
    }
    return companyId !== undefined && (await vault.forgetCompany(companyId, 'the app was uninstalled', at)) > 0
  }

  const handlers = new Map([
    ['INSTALL', install],
    ['UNINSTALL', uninstall]
  ])

  /** Resolves once what the event changes is stored. Rejects with the driver's error where it cannot be. */
  return async function carryOut(event: WebhookEvent): Promise<Outcome> {
    if (schemaEvents.has(event.type)) {
      // Nothing is stored, and nothing has to be: an event that does not come is made up for by the copies' age.
      if (event.locationId === undefined || now() - (event.timestamp ?? now()) > COPIES_AGE_MS) return 'ignored'
      dropSchemas(event.locationId)
      return 'done'
    }
    const handler = handlers.get(event.type)
    if (handler === undefined || appId === undefined || event.appId !== appId) return 'ignored'
    if (await vault.hasWebhook(event.id)) return 'duplicate'

    // Not later than now: a clock of HighLevel's that is ahead must not make an event newer than what follows it here.
    const hasChanged = await handler(event, Math.min(event.timestamp ?? now(), now()))
    // After the change: a process that dies between the two carries it out again, which changes nothing more.
    await vault.addWebhook(event.id, now() - KEPT_MS)
    if (event.locationId !== undefined) {
      forget(event.locationId)
      dropSchemas(event.locationId)
    }
    log.info({ type: event.type, location: event.locationId, company: event.companyId, hasChanged }, 'a webhook')
    return 'done'
  }
}

export type CarryOut = ReturnType<typeof createEvents>
