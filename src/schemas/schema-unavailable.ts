import type { BaseLogger } from 'pino'
import type { ObjectRef } from '../highlevel/record-ref.ts'
import type { ProblemCode } from '../problems/catalog.ts'
import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'

/** Why a schema is unavailable. A label of the metrics. */
export type UnavailableReason = 'scope' | 'object' | 'endpoint' | 'failed' | 'slow'

const reasons: Partial<Record<ProblemCode, UnavailableReason>> = {
  'location-scope-missing': 'scope',
  'object-not-found': 'object',
  'upstream-contract-changed': 'endpoint',
  'record-not-found': 'endpoint',
  'upstream-rejected': 'endpoint',
  'upstream-failed': 'failed',
  'upstream-timeout': 'failed',
  'upstream-unreadable': 'failed',
  internal: 'failed',
  'deadline-exceeded': 'slow'
}

/** Lasting reasons are retried after minutes, the others after seconds. */
export const isLasting = (why: UnavailableReason): boolean => why === 'scope' || why === 'endpoint'

/** Why a fetch gave no schema. `undefined` where the same error stops the write too, such as an exhausted quota. */
export const unavailableReason = (error: unknown): UnavailableReason | undefined =>
  error instanceof Problem ? reasons[error.code] : 'failed'

const WARN_EVERY_MS = 60 * 60_000
const MAX_LOCATIONS = 10_000

/** Warns, at most once an hour for a location, that its writes are sent unchecked. */
export function createWarning(log: Pick<BaseLogger, 'warn'>, clock: Pick<Clock, 'now'>) {
  const warnedAt = new Map<string, number>()

  return ({ locationId, schemaKey }: ObjectRef, why: UnavailableReason, err: unknown): void => {
    const at = clock.now()
    if (at - (warnedAt.get(locationId) ?? Number.NEGATIVE_INFINITY) < WARN_EVERY_MS) return
    if (warnedAt.size >= MAX_LOCATIONS) warnedAt.clear()
    warnedAt.set(locationId, at)
    log.warn(
      { location: locationId, object: schemaKey, why, err },
      'schema unavailable: writes to this object are sent unchecked'
    )
  }
}
