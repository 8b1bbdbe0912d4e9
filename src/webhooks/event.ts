import { hash } from 'node:crypto'
import { Problem } from '../problems/problem.ts'
import { ID } from '../shared/ids.ts'

/** A webhook as far as it is of use. Everything but `type` may be missing. */
export interface WebhookEvent {
  type: string
  appId?: string | undefined
  locationId?: string | undefined
  companyId?: string | undefined
  /** Epoch milliseconds. */
  timestamp?: number | undefined
  /** HighLevel's id of the delivery, which no event of another kind or holder shares; else the digest of its bytes. */
  id: string
}

const DELIVERY = /^[\x21-\x7e]{1,128}$/

/** HighLevel repeats a delivery for hours. What is older may be one that somebody has kept. */
const OLDEST_MS = 86_400_000
/** How far HighLevel's clock may be ahead of this one. */
const AHEAD_MS = 5 * 60_000
/** Longer than a delivery is taken, so that none is carried out twice. */
export const KEPT_MS = OLDEST_MS + 2 * AHEAD_MS

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
  const name = word(members['webhookId'], DELIVERY)
  const [locationId, companyId] = [word(members['locationId'], ID), word(members['companyId'], ID)]
  return {
    type,
    appId: word(members['appId'], ID),
    locationId,
    companyId,
    timestamp: time(members['timestamp']),
    id: name === undefined ? `sha256:${hash('sha256', raw, 'hex')}` : `${type}:${locationId ?? companyId}:${name}`
  }
}
