import type { GrantState, GrantSummary } from './grant.ts'

const LEAD = 'location:'

/** What operators are shown of a location: never a token. Times are ISO 8601. */
export interface LocationView {
  id: string
  kind: string
  companyId: string | null
  /** `renewing` while a renewal is under way, else the state that is stored. */
  state: GrantState | 'renewing'
  since: string
  reason: string | null
  /** Renewals that failed in a row. */
  failures: number
  nextRenewalAt: string | null
  expiresAt: string | null
  scopes: string[]
}

const LAST_DATE_MS = 8.64e15
/** One odd row must not hide the others. */
const date = (epochMs: number) => new Date(Math.min(epochMs, LAST_DATE_MS)).toISOString()
const dateOrNull = (epochMs: number | null) => (epochMs === null ? null : date(epochMs))

export function describeLocation(grant: GrantSummary, now: number): LocationView {
  const { subject, kind, companyId, leaseUntil, intentAt, failures } = grant
  const isRenewing = leaseUntil !== null && now < leaseUntil
  const standing = { state: grant.state, since: date(grant.stateSince), reason: grant.stateReason }
  return {
    id: subject.slice(LEAD.length),
    kind,
    companyId,
    ...(isRenewing
      ? { state: 'renewing', since: date(intentAt ?? now), reason: 'HighLevel is asked for a new token' }
      : standing),
    failures,
    nextRenewalAt: dateOrNull(grant.dueAt),
    expiresAt: dateOrNull(grant.expiresAt),
    scopes: grant.scopes === '' ? [] : grant.scopes.split(' ')
  }
}
