import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import { createSingleFlight } from '../shared/single-flight.ts'
import type { GrantSaves } from './grant-saves.ts'
import type { Issue } from './issue.ts'
import { type RefusalKind, TokenRefusal } from './token-refusal.ts'
import type { Grant, GrantState, Subject, Tokens } from './vault.ts'

/** A renewal that failed is not tried again for this long, so that the callers of a dead location make no storm. */
export const PAUSE_AFTER_FAILURE_MS = 5_000

export type RenewalResult = 'renewed' | RefusalKind | 'failed'

interface Deps {
  grants: Pick<GrantSaves, 'load' | 'save'>
  issue: Issue
  now: () => number
  log: BaseLogger
  count: (result: RenewalResult) => void
}

export const isUsable = (grant: Grant, now: number): grant is Grant & { tokens: Tokens } =>
  grant.tokens !== null && (grant.tokens.expiresAt === null || now < grant.tokens.expiresAt)

const unavailable = (detail: string, retryAfterSeconds: number, cause: unknown) =>
  new Problem('upstream-unavailable', detail, { retryAfterSeconds, cause })

/** What a refusal makes of the grant, and what its callers are told. */
const endings: Record<RefusalKind, { state?: GrantState; problem: (cause?: unknown) => Problem }> = {
  'invalid-grant': {
    state: 'reconnect-required',
    problem: () => new Problem('location-reconnect-required', 'HighLevel has ended the connection of this location')
  },
  inactive: {
    state: 'paused',
    problem: () => new Problem('location-paused', 'HighLevel says that this location is not active')
  },
  refused: {
    problem: (cause) => unavailable('HighLevel refuses to renew tokens: the reason is in the log', 60, cause)
  }
}

/**
 * Renews grants, one flight a subject: a refresh token is spent on first use, so two calls with the same one would
 * race each other. The row is read again inside the flight, since another process may have rotated it.
 */
export function createRenewal({ grants, issue, now, log, count }: Deps) {
  const fly = createSingleFlight<Grant>()
  const failures = new Map<Subject, { until: number; problem: Problem }>()

  const succeed = async (grant: Grant, { tokens, scopes }: { tokens: Tokens; scopes: string }): Promise<Grant> => {
    count('renewed')
    failures.delete(grant.subject)
    const stateSince = grant.state === 'connected' ? grant.stateSince : now()
    const inForce = await grants.save({ ...grant, tokens, scopes, state: 'connected', stateSince, stateReason: null })
    if (inForce !== undefined && isUsable(inForce, now())) return inForce
    throw new Problem('location-not-connected', 'This location was removed meanwhile')
  }

  const fail = async (grant: Grant, cause: unknown): Promise<Problem> => {
    count(cause instanceof TokenRefusal ? cause.kind : 'failed')
    // The company's grant, from which this one is made, has ended or pauses: so does this one, while it does.
    if (cause instanceof Problem && cause.code.startsWith('location-')) return cause
    if (!(cause instanceof TokenRefusal)) {
      log.warn({ subject: grant.subject, err: cause }, 'a renewal failed and will be tried again')
      return unavailable('The token of this location has ended and could not be renewed yet', 5, cause)
    }
    const { state, problem } = endings[cause.kind]
    log.error({ subject: grant.subject, err: cause }, 'HighLevel refused to renew a grant')
    if (state !== undefined && state !== grant.state) {
      await grants.save({ ...grant, state, stateSince: now(), stateReason: cause.message })
    }
    return problem(cause)
  }

  const attempt = async (grant: Grant): Promise<Grant> => {
    const failure = failures.get(grant.subject)
    if (failure !== undefined && now() < failure.until) throw failure.problem
    const issued = await issue(grant, renew).catch(async (cause) => {
      const problem = await fail(grant, cause)
      failures.set(grant.subject, { until: now() + PAUSE_AFTER_FAILURE_MS, problem })
      throw problem
    })
    return succeed(grant, issued)
  }

  /**
   * A grant in place of `held`: renewed here, by another process or by a new install. `refused` is the access token
   * that HighLevel no longer takes, where that is the reason. Rejects with a Problem.
   */
  const renew = (held: Grant, refused?: string): Promise<Grant> =>
    fly(held.subject, async () => {
      const grant = await grants.load(held.subject)
      if (grant === undefined || grant.state === 'uninstalled') {
        throw new Problem('location-not-connected', 'This location is not connected')
      }
      // By the token, not by the generation alone: a change of state is a generation too.
      const isOther = grant.tokens?.accessToken !== (refused ?? held.tokens?.accessToken)
      if (isOther && isUsable(grant, now())) return grant
      if (grant.state === 'reconnect-required') throw endings['invalid-grant'].problem()
      return attempt(grant)
    })

  return Object.assign(renew, { settled: fly.settled })
}

export type Renew = (held: Grant, refused?: string) => Promise<Grant>
