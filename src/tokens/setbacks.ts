import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import type { Grant, Lease, Setback } from './grant.ts'
import type { GrantSaves } from './grant-saves.ts'
import { problemAfter, stateAfter } from './refusals.ts'
import { retryAt } from './schedule.ts'
import { type RefusalKind, TokenRefusal } from './token-refusal.ts'
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

/** Where HighLevel has not said no, it may have rotated all the same: such a grant is asked for before all others. */
const mayHaveRotated = ({ kind }: Grant, cause: unknown): boolean =>
  kind === 'oauth' &&
  !(cause instanceof TokenRefusal) &&
  !(cause instanceof Problem && cause.extras.upstream?.status === 429)

/** What becomes of a grant whose renewal failed. Only HighLevel's own word that the grant is spent ends it. */
export function createSetbacks({ vault, saves, now, log, count }: Deps) {
  const setbackOf = (grant: Grant, cause: unknown): Setback & { state: (typeof stateAfter)[RefusalKind] } => {
    const state = cause instanceof TokenRefusal ? stateAfter[cause.kind] : 'backing-off'
    const failures = grant.failures + 1
    return {
      state,
      stateSince: grant.state === state ? grant.stateSince : now(),
      stateReason: reasonOf(cause),
      failures,
      triedAt: now(),
      intentAt: mayHaveRotated(grant, cause) ? grant.intentAt : null,
      dueAt: state === 'reconnect-required' ? null : retryAt(failures, now())
    }
  }

  const report = ({ subject }: Grant, { state, failures, dueAt }: Setback, err: unknown): void => {
    if (state === 'reconnect-required') {
      // The one line to raise an alarm on: a person has to act.
      log.error({ subject, state, err }, 'a grant has ended and must be connected again')
    } else log.warn({ subject, state, failures, dueAt, err }, 'a renewal failed and will be tried again')
  }

  return {
    /**
     * Notes why the renewal under `lease` failed, and throws the Problem for its callers. Resolves with the grant where
     * it has been renewed by another meanwhile.
     */
    async settle(grant: Grant, lease: Lease, cause: unknown): Promise<Grant> {
      const setback = setbackOf(grant, cause)
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
