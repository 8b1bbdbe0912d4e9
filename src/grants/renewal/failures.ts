import type { BaseLogger } from 'pino'
import { Problem } from '../../problems/problem.ts'
import type { Grant, Lease, RenewalFailure } from '../grant.ts'
import { type RefusalKind, TokenRefusal } from '../oauth/token-refusal.ts'
import { reasonFor, UnknownOutcome } from '../oauth/unknown-outcome.ts'
import type { PendingSaves } from '../pending-saves.ts'
import { isUsable } from '../usable.ts'
import type { GrantStore } from '../vault/vault.ts'
import { problemAfter, stateAfter } from './refusals.ts'
import { retryAt, reviewAt } from './schedule.ts'

export type RenewalResult = 'renewed' | RefusalKind | 'failed'

interface Deps {
  vault: Pick<GrantStore, 'recordFailure' | 'confirmUninstall'>
  saves: Pick<PendingSaves, 'load'>
  now: () => number
  log: BaseLogger
  count: (result: RenewalResult) => void
}

/** What is noted with a grant of a failure: HighLevel's words without secrets, or the problem's own. */
const reasonOf = (cause: unknown): string =>
  cause instanceof TokenRefusal ? cause.message : cause instanceof Problem ? cause.detail : 'the gateway failed'

/** What fails for longer may not pass by itself. */
const LONG_MS = 15 * 60_000

/**
 * When HighLevel was last asked with no known outcome. A refusal of this ask says nothing of an earlier one, whose
 * answer was lost: it may have rotated all the same.
 */
const unknownSince = ({ kind, priorIntentAt }: Grant, failure: unknown): number | null =>
  kind !== 'oauth' ? null : failure instanceof UnknownOutcome ? failure.askedAt : priorIntentAt

/** What becomes of a grant whose renewal failed. Only HighLevel's own word that the grant is spent ends it. */
export function createFailures({ vault, saves, now, log, count }: Deps) {
  const setbackOf = (grant: Grant, failure: unknown): RenewalFailure & { state: (typeof stateAfter)[RefusalKind] } => {
    const cause = reasonFor(failure)
    const refusal = cause instanceof TokenRefusal ? cause : undefined
    const state = refusal ? stateAfter[refusal.kind] : 'backing-off'
    const stateSince = grant.state === state ? grant.stateSince : now()
    const intentAt = unknownSince(grant, failure)
    return {
      state,
      stateSince,
      stateReason: reasonOf(cause),
      failures: grant.failures + 1,
      triedAt: now(),
      intentAt,
      dueAt: state === 'reconnect-required' ? reviewAt(refusal, now()) : retryAt(stateSince, now(), intentAt)
    }
  }

  const report = (
    grant: Grant,
    { state, stateSince, failures, triedAt, dueAt }: RenewalFailure,
    err: unknown
  ): void => {
    const { subject } = grant
    const isLong = (at: number | null) => at !== null && at - stateSince >= LONG_MS
    if (state === 'reconnect-required' && grant.state !== state) {
      // The one line to raise an alarm on: a person has to act.
      log.error({ subject, state, err }, 'a grant has ended and must be connected again')
    } else if (state === 'backing-off' && isLong(triedAt) && !isLong(grant.triedAt)) {
      log.error({ subject, state, failures, err }, 'a grant could not be renewed for a quarter of an hour')
    } else log.warn({ subject, state, failures, dueAt, err }, 'a renewal failed and will be tried again')
  }

  /** HighLevel has ended the grant, and an uninstall was reported: it left, and nobody has to be alarmed. */
  const isUninstalled = async ({ subject }: Grant, { state }: RenewalFailure): Promise<boolean> => {
    if (state !== 'reconnect-required') return false
    try {
      const isForgotten = await vault.confirmUninstall(subject, now())
      if (isForgotten) log.info({ subject }, 'HighLevel confirms that the app was uninstalled')
      return isForgotten
    } catch (err) {
      log.warn({ subject, err }, 'an uninstall could not be noted')
      return false
    }
  }

  return {
    /**
     * Notes why the renewal under `lease` failed, and throws the Problem for its callers. Resolves with the grant where
     * it has been renewed by another meanwhile.
     */
    async settle(grant: Grant, lease: Lease, failure: unknown): Promise<Grant> {
      const cause = reasonFor(failure)
      const setback = setbackOf(grant, failure)
      const problem = problemAfter(setback.state, setback, now(), cause)
      try {
        if (await vault.recordFailure(grant.subject, grant.generation, lease.owner, setback)) {
          count(cause instanceof TokenRefusal ? cause.kind : 'failed')
          if (!(await isUninstalled(grant, setback))) report(grant, setback, cause)
          throw problem
        }
        const inForce = await saves.load(grant.subject)
        if (inForce !== undefined && inForce.generation !== grant.generation && isUsable(inForce, now())) return inForce
      } catch (err) {
        if (err !== problem) log.warn({ subject: grant.subject, err }, 'a failed renewal could not be noted')
      }
      throw problem
    }
  }
}

export type Failures = ReturnType<typeof createFailures>
