import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import type { Grant, Lease, Setback } from './grant.ts'
import type { GrantSaves } from './grant-saves.ts'
import { problemAfter, stateAfter } from './refusals.ts'
import { retryAt, reviewAt } from './schedule.ts'
import { type RefusalKind, TokenRefusal } from './token-refusal.ts'
import { reasonFor, UnknownOutcome } from './unknown-outcome.ts'
import { isUsable } from './usable.ts'
import type { GrantStore } from './vault.ts'

export type RenewalResult = 'renewed' | RefusalKind | 'failed'

interface Deps {
  vault: Pick<GrantStore, 'noteSetback'>
  saves: Pick<GrantSaves, 'load'>
  now: () => number
  log: BaseLogger
  count: (result: RenewalResult) => void
}

/** What is noted with a grant of a failure: HighLevel's words without secrets, or the problem's own. */
const reasonOf = (cause: unknown): string =>
  cause instanceof TokenRefusal ? cause.message : cause instanceof Problem ? cause.detail : 'the gateway failed'

/** After so many failures in a row, about a quarter of an hour, nobody should have to find it out by himself. */
const MANY_FAILURES = 10

/**
 * When HighLevel was last asked with no known outcome. A refusal of this ask says nothing of an earlier one, whose
 * answer was lost: it may have rotated all the same.
 */
const unknownSince = ({ kind, priorIntentAt }: Grant, failure: unknown): number | null =>
  kind !== 'oauth' ? null : failure instanceof UnknownOutcome ? failure.askedAt : priorIntentAt

/** What becomes of a grant whose renewal failed. Only HighLevel's own word that the grant is spent ends it. */
export function createSetbacks({ vault, saves, now, log, count }: Deps) {
  const setbackOf = (grant: Grant, failure: unknown): Setback & { state: (typeof stateAfter)[RefusalKind] } => {
    const cause = reasonFor(failure)
    const refusal = cause instanceof TokenRefusal ? cause : undefined
    const state = refusal ? stateAfter[refusal.kind] : 'backing-off'
    const failures = grant.failures + 1
    const intentAt = unknownSince(grant, failure)
    return {
      state,
      stateSince: grant.state === state ? grant.stateSince : now(),
      stateReason: reasonOf(cause),
      failures,
      triedAt: now(),
      intentAt,
      dueAt: state === 'reconnect-required' ? reviewAt(refusal, now()) : retryAt(failures, now(), intentAt)
    }
  }

  const report = (grant: Grant, { state, failures, dueAt }: Setback, err: unknown): void => {
    const { subject } = grant
    if (state === 'reconnect-required' && grant.state !== state) {
      // The one line to raise an alarm on: a person has to act.
      log.error({ subject, state, err }, 'a grant has ended and must be connected again')
    } else if (failures === MANY_FAILURES)
      log.error({ subject, state, failures, err }, 'a grant is not renewed for long')
    else log.warn({ subject, state, failures, dueAt, err }, 'a renewal failed and will be tried again')
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
        if (await vault.noteSetback(grant.subject, grant.generation, lease.owner, setback)) {
          count(cause instanceof TokenRefusal ? cause.kind : 'failed')
          report(grant, setback, cause)
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

export type Setbacks = ReturnType<typeof createSetbacks>
