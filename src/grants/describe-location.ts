import type { GrantState, GrantSummary } from './grant.ts'

const PREFIX = 'location:'

/** What operators see of a location. It never holds a token. Times are ISO 8601. */
export interface LocationView {
  id: string
  kind: string
  companyId: string | null
  /** `renewing` during a renewal, otherwise the stored state. */
  state: GrantState | 'renewing'
  since: string
  reason: string | null
  /** Renewals that failed in a row. */
  failures: number
  nextRenewalAt: string | null
  expiresAt: string | null
  scopes: string[]
}

/** The latest time that a Date can hold. */
const MAX_DATE_MS = 8.64e15
/** Capped, because one row with an absurd time must not keep the others from being listed. */
const date = (epochMs: number) => new Date(Math.min(epochMs, MAX_DATE_MS)).toISOString()
const dateOrNull = (epochMs: number | null) => (epochMs === null ? null : date(epochMs))

export function describeLocation(grant: GrantSummary, now: number): LocationView {
  const { subject, kind, companyId, leaseUntil, intentAt, failures } = grant
  const isRenewing = leaseUntil !== null && now < leaseUntil
  const stored = { state: grant.state, since: date(grant.stateSince), reason: grant.stateReason }
  return {
    id: subject.slice(PREFIX.length),
    kind,
    companyId,
    ...(isRenewing
      ? { state: 'renewing', since: date(intentAt ?? now), reason: 'a new token is being requested from HighLevel' }
      : stored),
    failures,
    nextRenewalAt: dateOrNull(grant.dueAt),
    expiresAt: dateOrNull(grant.expiresAt),
    scopes: grant.scopes === '' ? [] : grant.scopes.split(' ')
  }
}
