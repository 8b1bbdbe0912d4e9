import type { BaseLogger } from 'pino'
import { Problem } from '../../problems/problem.ts'
import type { Clock } from '../../shared/clock.ts'
import { type Grant, type GrantState, isUsable, type Lease, type RenewalFailure } from '../grant.ts'
import { type RefusalKind, TokenRefusal } from '../oauth/token-refusal.ts'
import { causeOf, UnknownOutcome } from '../oauth/unknown-outcome.ts'
import type { PendingSaves } from '../pending-saves.ts'
import type { GrantStore } from '../vault/vault.ts'
import { callMayRetryAt, retryAt, reviewAt } from './schedule.ts'

export type RenewalResult = 'renewed' | RefusalKind | 'failed'

/** The states of a grant whose last renewal failed. */
type FailedState = Extract<GrantState, 'backing-off' | 'paused' | 'reconnect-required'>

interface Deps {
  vault: Pick<GrantStore, 'recordFailure' | 'confirmUninstall'>
  saves: Pick<PendingSaves, 'load'>
  clock: Clock
  log: BaseLogger
  count: (result: RenewalResult) => void
}

/** A grant that could not be renewed for this long is logged as an error once: it may not recover without help. */
const ALARM_AFTER_MS = 15 * 60_000

const stateAfter: Record<RefusalKind, FailedState> = {
  'invalid-grant': 'reconnect-required',
  unrecognized: 'backing-off',
  'in-progress': 'backing-off',
  inactive: 'paused',
  refused: 'backing-off'
}

const date = (epochMs: number) => new Date(epochMs).toISOString()

/** The problem for a caller whose location is in this state and has no usable token. */
const problems: Record<FailedState, (since: number, retryAfterSeconds: number, cause?: unknown) => Problem> = {
  'reconnect-required': (since, _, cause) =>
    new Problem('location-reconnect-required', `HighLevel ended the connection of this location on ${date(since)}`, {
      cause
    }),
  paused: (since, _, cause) =>
    new Problem('location-paused', `HighLevel has reported this location as not active since ${date(since)}`, {
      cause
    }),
  'backing-off': (since, retryAfterSeconds, cause) =>
    new Problem(
      'upstream-unavailable',
      `The token of this location has expired and could not be renewed since ${date(since)}`,
      { retryAfterSeconds, cause }
    )
}

const secondsUntil = (at: number, now: number) => Math.max(1, Math.ceil((at - now) / 1_000))

/** Throws the problem of a grant that failed to be renewed and whose next try is not due: calls must not cause a storm. */
export function assertRetryDue(grant: Grant, now: number): void {
  const { state } = grant
  if (state === 'connected' || state === 'uninstalled') return
  const at = callMayRetryAt(grant, now)
  if (state !== 'reconnect-required' && now >= at) return
  throw problems[state](grant.stateSince, secondsUntil(at, now))
}

/** What is stored as the grant's state reason: HighLevel's words without secrets, or the detail of the problem. */
const stateReasonOf = (cause: unknown): string =>
  cause instanceof TokenRefusal ? cause.message : cause instanceof Problem ? cause.detail : 'the gateway failed'

/**
 * The time of the last refresh whose outcome is unknown. A refusal of the current refresh says nothing about an earlier
 * one whose answer was lost: HighLevel may have rotated the tokens then.
 */
const unknownSince = ({ kind, priorIntentAt }: Grant, failure: unknown): number | null =>
  kind !== 'oauth' ? null : failure instanceof UnknownOutcome ? failure.requestedAt : priorIntentAt

/** Records failed renewals. A grant ends only if nothing is left that could renew it: see `stateAfter`. */
export function createFailureHandler({ vault, saves, clock, log, count }: Deps) {
  const toRecord = (grant: Grant, failure: unknown): RenewalFailure & { state: FailedState } => {
    const cause = causeOf(failure)
    const refusal = cause instanceof TokenRefusal ? cause : undefined
    const state = refusal ? stateAfter[refusal.kind] : 'backing-off'
    const stateSince = grant.state === state ? grant.stateSince : clock.now()
    const intentAt = unknownSince(grant, failure)
    return {
      state,
      stateSince,
      stateReason: stateReasonOf(cause),
      failures: grant.failures + 1,
      triedAt: clock.now(),
      intentAt,
      dueAt:
        state === 'reconnect-required' ? reviewAt(refusal, clock.now()) : retryAt(stateSince, clock.now(), intentAt)
    }
  }

  const logFailure = (grant: Grant, failure: RenewalFailure, err: unknown): void => {
    const { subject } = grant
    const { state, stateSince, failures, triedAt, dueAt } = failure
    const isOverdue = (at: number | null) => at !== null && at - stateSince >= ALARM_AFTER_MS
    if (state === 'reconnect-required' && grant.state !== state) {
      // Alert on this line: a person has to act.
      log.error({ subject, state, err }, 'a grant has ended and must be connected again')
    } else if (state === 'backing-off' && isOverdue(triedAt) && !isOverdue(grant.triedAt)) {
      log.error({ subject, state, failures, err }, 'a grant could not be renewed for a quarter of an hour')
    } else log.warn({ subject, state, failures, dueAt, err }, 'a renewal failed and will be tried again')
  }

  /** Whether the grant ended because of a reported uninstall. That is logged as information, not as an error. */
  const isUninstalled = async ({ subject }: Grant, { state }: RenewalFailure): Promise<boolean> => {
    if (state !== 'reconnect-required') return false
    try {
      const isConfirmed = await vault.confirmUninstall(subject, clock.now())
      if (isConfirmed) log.info({ subject }, 'HighLevel confirms that the app was uninstalled')
      return isConfirmed
    } catch (err) {
      log.warn({ subject, err }, 'an uninstall could not be recorded')
      return false
    }
  }

  return {
    /**
     * Records why the renewal under `lease` failed, and throws the Problem for the waiting calls. If another process has
     * renewed the grant meanwhile, resolves with that grant.
     */
    async handle(grant: Grant, lease: Lease, error: unknown): Promise<Grant> {
      const cause = causeOf(error)
      const failure = toRecord(grant, error)
      const at = clock.now()
      const retryAfterSeconds = secondsUntil(callMayRetryAt(failure, at), at)
      const problem = problems[failure.state](failure.stateSince, retryAfterSeconds, cause)
      try {
        if (await vault.recordFailure(grant.subject, grant.generation, lease.owner, failure)) {
          count(cause instanceof TokenRefusal ? cause.kind : 'failed')
          if (!(await isUninstalled(grant, failure))) logFailure(grant, failure, cause)
          throw problem
        }
        const current = await saves.load(grant.subject)
        if (current !== undefined && current.generation !== grant.generation && isUsable(current, clock.now()))
          return current
      } catch (err) {
        if (err !== problem) log.warn({ subject: grant.subject, err }, 'a failed renewal could not be recorded')
      }
      throw problem
    }
  }
}

export type FailureHandler = ReturnType<typeof createFailureHandler>
