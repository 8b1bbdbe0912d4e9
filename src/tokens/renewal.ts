import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import { createSingleFlight } from '../shared/single-flight.ts'
import type { GrantSaves } from './grant-saves.ts'
import { type Issued, type OAuthApi, TokenRefusal } from './oauth-api.ts'
import type { Grant, GrantState, Subject, Tokens } from './vault.ts'

/** A renewal that failed is not tried again for this long, so that the callers of a dead location make no storm. */
const PAUSE_AFTER_FAILURE_MS = 5_000

export type RenewalResult = 'renewed' | TokenRefusal['kind'] | 'failed'

interface Deps {
  grants: Pick<GrantSaves, 'load' | 'save'>
  /** Absent where the gateway has no client credentials: then nothing can be renewed. */
  oauth: OAuthApi | undefined
  now: () => number
  log: BaseLogger
  count: (result: RenewalResult) => void
}

export const isUsable = (grant: Grant, now: number): grant is Grant & { tokens: Tokens } =>
  grant.tokens !== null && (grant.tokens.expiresAt === null || now < grant.tokens.expiresAt)

/** What a refusal makes of the grant, and what its callers are told. */
const endings: Record<TokenRefusal['kind'], { state?: GrantState; problem: () => Problem }> = {
  'invalid-grant': {
    state: 'reconnect-required',
    problem: () => new Problem('location-reconnect-required', 'HighLevel has ended the connection of this location')
  },
  inactive: {
    state: 'paused',
    problem: () => new Problem('location-paused', 'HighLevel says that this location is not active')
  },
  refused: {
    problem: () => unavailable('HighLevel refuses to renew tokens: the reason is in the log', 60)
  }
}

const unavailable = (detail: string, retryAfterSeconds: number, cause?: unknown) =>
  new Problem('upstream-unavailable', detail, { retryAfterSeconds, cause })

/**
 * Renews grants, one flight a subject: a refresh token is spent on first use, so two calls with the same one would
 * race each other. The row is read again inside the flight, since another process may have rotated it.
 */
export function createRenewal({ grants, oauth, now, log, count }: Deps) {
  const fly = createSingleFlight<Grant>()
  const failures = new Map<Subject, { until: number; problem: Problem }>()

  const issue = async (grant: Grant): Promise<Issued> => {
    if (oauth === undefined) throw new TokenRefusal('refused', 0, 'HIGHLEVEL_CLIENT_ID is not set')
    if (grant.kind === 'minted') return mint(oauth, grant)
    const refreshToken = grant.tokens?.refreshToken
    if (refreshToken === undefined) throw new TokenRefusal('invalid-grant', 0, 'the grant holds no refresh token')
    return oauth.refresh(refreshToken, grant.subject.startsWith('company:') ? 'Company' : 'Location')
  }

  const mint = async (api: OAuthApi, { subject, companyId }: Grant): Promise<Issued> => {
    const company = companyId === null ? undefined : await grants.load(`company:${companyId}`)
    if (company === undefined) throw new TokenRefusal('invalid-grant', 0, 'the grant of the company is gone')
    const usable = isUsable(company, now()) ? company : await renew(company.subject, company.generation)
    return api.mint(
      usable.tokens?.accessToken ?? '',
      company.subject.slice('company:'.length),
      subject.slice('location:'.length)
    )
  }

  const succeed = async (grant: Grant, { tokens, scope }: Issued): Promise<Grant> => {
    count('renewed')
    failures.delete(grant.subject)
    const stateSince = grant.state === 'connected' ? grant.stateSince : now()
    const renewed = {
      ...grant,
      tokens,
      scopes: scope ?? grant.scopes,
      state: 'connected' as const,
      stateSince,
      stateReason: null
    }
    const inForce = await grants.save(renewed)
    if (inForce === undefined || !isUsable(inForce, now()))
      throw new Problem('location-not-connected', 'The location was removed meanwhile')
    return inForce
  }

  const fail = async (grant: Grant, cause: unknown): Promise<Problem> => {
    count(cause instanceof TokenRefusal ? cause.kind : 'failed')
    if (!(cause instanceof TokenRefusal)) {
      log.warn({ subject: grant.subject, err: cause }, 'a renewal failed and will be tried again')
      return unavailable('The token of this location has expired and could not be renewed yet', 5, cause)
    }
    const { state, problem } = endings[cause.kind]
    log.error({ subject: grant.subject, err: cause }, 'HighLevel refused to renew a grant')
    if (state !== undefined && state !== grant.state) {
      await grants.save({ ...grant, state, stateSince: now(), stateReason: cause.message })
    }
    return problem()
  }

  /**
   * Resolves with the grant in force after generation `seen`: renewed here, by another process or by a new install.
   * Rejects with a Problem.
   */
  const renew = (subject: Subject, seen: number): Promise<Grant> =>
    fly(subject, async () => {
      const grant = await grants.load(subject)
      if (grant === undefined || grant.state === 'uninstalled')
        throw new Problem('location-not-connected', 'This location is not connected')
      if (grant.generation !== seen && isUsable(grant, now())) return grant

      if (grant.state === 'reconnect-required') throw endings['invalid-grant'].problem()
      const failure = failures.get(subject)
      if (failure !== undefined && now() < failure.until) throw failure.problem
      const issued = await issue(grant).catch(async (cause) => {
        const problem = await fail(grant, cause)
        failures.set(subject, { until: now() + PAUSE_AFTER_FAILURE_MS, problem })
        throw problem
      })
      return succeed(grant, issued)
    })

  return renew
}

export type Renew = ReturnType<typeof createRenewal>
