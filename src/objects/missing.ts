import type { BaseLogger } from 'pino'
import { Problem, type ProblemCode } from '../problems.ts'
import type { ObjectRef } from '../upstream/client.ts'

/** Why a schema cannot be had, for the metrics. */
export type Missing = 'scope' | 'object' | 'endpoint' | 'failed' | 'slow'

const missing: Partial<Record<ProblemCode, Missing>> = {
  'location-scope-missing': 'scope',
  'object-not-found': 'object',
  'upstream-contract-changed': 'endpoint',
  'record-not-found': 'endpoint',
  'upstream-rejected': 'endpoint',
  'upstream-failed': 'failed',
  'upstream-timeout': 'failed',
  'upstream-unreadable': 'failed',
  internal: 'failed'
}

/** The read did not come to HighLevel: the write may all the same, and the next read too. */
const passing: ReadonlySet<ProblemCode> = new Set([
  'location-burst-exhausted',
  'location-daily-exhausted',
  'overloaded',
  'upstream-unavailable',
  'deadline-exceeded'
])

/** What passes by itself is asked for again soon. */
export const isLasting = (why: Missing): boolean => why === 'scope' || why === 'endpoint'

/** Why a read brought nothing, and whether that is kept; no reason where the same stops the write too. */
export function outcomeOf(error: unknown): { why: Missing | undefined; isKept: boolean } {
  if (!(error instanceof Problem)) return { why: 'failed', isKept: true }
  return passing.has(error.code) ? { why: 'slow', isKept: false } : { why: missing[error.code], isKept: true }
}

const WARN_EVERY_MS = 60 * 60_000
const MAX_LOCATIONS = 10_000

/** Says of a location once an hour that its writes are not checked. */
export function createWarning(log: Pick<BaseLogger, 'warn'>, now: () => number) {
  const warnedAt = new Map<string, number>()

  return ({ locationId, schemaKey }: ObjectRef, why: Missing, err: unknown): void => {
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
