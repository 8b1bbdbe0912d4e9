import type { BaseLogger } from 'pino'
import type { ObjectRef } from '../highlevel/client.ts'
import type { ProblemCode } from '../problems/catalog.ts'
import { Problem } from '../problems/problem.ts'

/** Why a schema cannot be had, for the metrics. */
export type UnavailableReason = 'scope' | 'object' | 'endpoint' | 'failed' | 'slow'

const missing: Partial<Record<ProblemCode, UnavailableReason>> = {
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

/** What passes by itself is asked for again soon. */
export const isLasting = (why: UnavailableReason): boolean => why === 'scope' || why === 'endpoint'

/** Why a read brought nothing; no reason where the same stops the write too, such as a quota that is used up. */
export const unavailableReason = (error: unknown): UnavailableReason | undefined =>
  error instanceof Problem ? missing[error.code] : 'failed'

const WARN_EVERY_MS = 60 * 60_000
const MAX_LOCATIONS = 10_000

/** Says of a location once an hour that its writes are not checked. */
export function createWarning(log: Pick<BaseLogger, 'warn'>, now: () => number) {
  const warnedAt = new Map<string, number>()

  return ({ locationId, schemaKey }: ObjectRef, why: UnavailableReason, err: unknown): void => {
    const at = now()
    if (at - (warnedAt.get(locationId) ?? Number.NEGATIVE_INFINITY) < WARN_EVERY_MS) return
    if (warnedAt.size >= MAX_LOCATIONS) warnedAt.clear()
    warnedAt.set(locationId, at)
    log.warn(
      { location: locationId, object: schemaKey, why, err },
      'the fields of an object are not known: its writes are not checked'
    )
  }
}
