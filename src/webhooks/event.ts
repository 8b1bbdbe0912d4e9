import { hash } from 'node:crypto'
import { Problem } from '../problems/problem.ts'
import { ID } from '../shared/ids.ts'
import { isObject } from '../shared/json.ts'

/** The members of a webhook that the gateway uses. Every one but `type` and `id` may be missing. */
export interface WebhookEvent {
  type: string
  appId?: string | undefined
  locationId?: string | undefined
  companyId?: string | undefined
  /** Epoch milliseconds. */
  timestamp?: number | undefined
  /**
   * Identifies the delivery: HighLevel's `webhookId`, prefixed with type and location or company so that other events
   * cannot share it. Without a `webhookId`, the SHA-256 digest of the body.
   */
  id: string
}

const EVENT_TYPE = /^[A-Za-z]{1,64}$/
const WEBHOOK_ID = /^[\x21-\x7e]{1,128}$/

/** HighLevel repeats a delivery for hours. An older one may be a replay. */
const MAX_AGE_MS = 86_400_000
/** How far HighLevel's clock may be ahead of this one. */
const MAX_AHEAD_MS = 5 * 60_000
/** Longer than a delivery is accepted, so that none is handled twice. */
export const EVENT_ID_KEPT_MS = MAX_AGE_MS + 2 * MAX_AHEAD_MS

const stringMatching = (value: unknown, pattern: RegExp): string | undefined =>
  typeof value === 'string' && pattern.test(value) ? value : undefined

/** Epoch milliseconds from an ISO date or from a number of milliseconds. */
const readTimestamp = (value: unknown): number | undefined => {
  const at = typeof value === 'string' ? Date.parse(value) : typeof value === 'number' ? value : Number.NaN
  return Number.isFinite(at) ? Math.trunc(at) : undefined
}

/** Whether the event is neither too old nor too far ahead. An event without a time passes: its handler must allow for it. */
export const isTimestampAcceptable = ({ timestamp }: WebhookEvent, now: number): boolean =>
  timestamp === undefined || (timestamp > now - MAX_AGE_MS && timestamp <= now + MAX_AHEAD_MS)

/** Reads a delivery. Throws a Problem if it is not an event. */
export function readEvent(rawBody: Buffer): WebhookEvent {
  let body: unknown
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(rawBody))
  } catch {
    throw new Problem('invalid-json', 'The body is not valid JSON')
  }
  const members = isObject(body) ? body : {}
  const type = stringMatching(members['type'], EVENT_TYPE)
  if (type === undefined) throw new Problem('invalid-request', 'The body is not an event: it has no type')
  const webhookId = stringMatching(members['webhookId'], WEBHOOK_ID)
  const [locationId, companyId] = [stringMatching(members['locationId'], ID), stringMatching(members['companyId'], ID)]
  return {
    type,
    appId: stringMatching(members['appId'], ID),
    locationId,
    companyId,
    timestamp: readTimestamp(members['timestamp']),
    id:
      webhookId === undefined
        ? `sha256:${hash('sha256', rawBody, 'hex')}`
        : `${type}:${locationId ?? companyId}:${webhookId}`
  }
}
