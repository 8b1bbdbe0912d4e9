import { Problem } from '../../problems/problem.ts'
import type { Grant, GrantState } from '../grant.ts'
import type { RefusalKind } from '../oauth/token-refusal.ts'
import { callMayTryAt } from './schedule.ts'

type Ending = Extract<GrantState, 'backing-off' | 'paused' | 'reconnect-required'>

/** What HighLevel's refusal makes of the grant. */
export const stateAfter: Record<RefusalKind, Ending> = {
  'invalid-grant': 'reconnect-required',
  unrecognized: 'backing-off',
  'in-progress': 'backing-off',
  inactive: 'paused',
  refused: 'backing-off'
}

const date = (epochMs: number) => new Date(epochMs).toISOString()

/** What a caller is told whose location is in this state and has no token that can be used. */
const problems: Record<Ending, (since: number, retryAfterSeconds: number, cause?: unknown) => Problem> = {
  'reconnect-required': (since, _, cause) =>
    new Problem(
      'location-reconnect-required',
      `HighLevel has ended the connection of this location on ${date(since)}`,
      {
        cause
      }
    ),
  paused: (since, _, cause) =>
    new Problem('location-paused', `HighLevel says since ${date(since)} that this location is not active`, { cause }),
  'backing-off': (since, retryAfterSeconds, cause) =>
    new Problem(
      'upstream-unavailable',
      `The token of this location has ended and cannot be renewed since ${date(since)}`,
      {
        retryAfterSeconds,
        cause
      }
    )
}

const secondsUntil = (at: number, now: number) => Math.max(1, Math.ceil((at - now) / 1_000))

/** The problem of a grant that has just failed to be renewed. */
export const problemAfter = (
  state: Ending,
  { stateSince, ...times }: Pick<Grant, 'stateSince' | 'dueAt' | 'triedAt'>,
  now: number,
  cause: unknown
): Problem => problems[state](stateSince, secondsUntil(callMayTryAt(times, now), now), cause)

/** Throws the Problem of a grant that is not to be tried again yet, so that the callers of a dead location make no storm. */
export function refuseStanding(grant: Grant, now: number): void {
  const { state } = grant
  if (state === 'connected' || state === 'uninstalled') return
  const at = callMayTryAt(grant, now)
  if (state !== 'reconnect-required' && now >= at) return
  throw problems[state](grant.stateSince, secondsUntil(at, now))
}
