import type { ProblemCode } from '../../problems/catalog.ts'
import { Problem } from '../../problems/problem.ts'
import type { Clock } from '../../shared/clock.ts'
import {
  type AcquiredTokens,
  type Grant,
  type GrantKind,
  isUsable,
  type Lease,
  type Renew,
  type Subject
} from '../grant.ts'
import type { OAuthClient, TokenResponse } from '../oauth/oauth-client.ts'
import { repeatRefresh } from '../oauth/repeat-refresh.ts'
import { mayEndGrant, TokenRefusal } from '../oauth/token-refusal.ts'
import type { PendingSaves } from '../pending-saves.ts'
import type { GrantStore } from '../vault/vault.ts'
import type { Recover } from './recovery.ts'

/**
 * Asks HighLevel for new tokens of a grant that this process has claimed with `lease`. If another process has renewed it
 * meanwhile, resolves with the current grant. Rejects with a TokenRefusal if HighLevel refuses, with an UnknownOutcome
 * if HighLevel may have rotated the tokens, otherwise with a Problem.
 */
export type AcquireTokens = (grant: Grant, lease: Lease, renew: Renew) => Promise<AcquiredTokens | Grant>

/** If the company's token cannot be renewed, these refusals end or pause the grants of its locations. */
const companyRefusals: Partial<Record<ProblemCode, TokenRefusal>> = {
  'location-not-connected': new TokenRefusal('invalid-grant', 0, 'the company of this location is not connected'),
  'location-reconnect-required': new TokenRefusal('invalid-grant', 0, 'the grant of the company has ended'),
  'location-paused': new TokenRefusal('inactive', 0, 'the company of this location is paused')
}

/** The stored state reasons of such locations. Once their company is renewed, they are tried again. */
export const COMPANY_REASONS: readonly string[] = Object.values(companyRefusals).map(({ message }) => message)

interface Deps {
  vault: Pick<GrantStore, 'markVerified'>
  saves: Pick<PendingSaves, 'load'>
  /** Absent if the gateway has no client credentials. Nothing can be renewed then. */
  oauth: OAuthClient | undefined
  recover: Recover
  clock: Clock
}

/** Gets new tokens in the way of each kind of grant: `oauth` by a refresh, `minted` with the token of the company. */
export function createAcquireTokens({ vault, saves, oauth, recover, clock }: Deps): AcquireTokens {
  /** The company's grant, with a usable token. `refused`: the company's access token that HighLevel has just refused. */
  const loadCompany = async (subject: Subject, renew: Renew, refused?: string): Promise<Grant> => {
    const company = await saves.load(subject)
    if (
      company !== undefined &&
      company.state !== 'uninstalled' &&
      refused === undefined &&
      isUsable(company, clock.now())
    )
      return company
    return renew(subject, refused).catch((cause) => {
      throw (cause instanceof Problem && companyRefusals[cause.code]) || cause
    })
  }

  const mint = async (api: OAuthClient, { subject, companyId }: Grant, renew: Renew): Promise<TokenResponse> => {
    if (companyId === null) throw new TokenRefusal('invalid-grant', 0, 'the grant names no company')
    const companySubject: Subject = `company:${companyId}`
    const mintWith = async (company: Grant): Promise<TokenResponse> => {
      const minted = await api.mint(company.tokens?.accessToken ?? '', companyId, subject.slice('location:'.length))
      // If the vault cannot record it now, the next mint does.
      if (!company.verified)
        await vault.markVerified(companySubject, company.generation, clock.now()).catch(() => undefined)
      return minted
    }

    const company = await loadCompany(companySubject, renew)
    try {
      return await mintWith(company)
    } catch (error) {
      if (!(error instanceof TokenRefusal && error.isTokenFault)) throw error
      return await mintWith(await loadCompany(companySubject, renew, company.tokens?.accessToken))
    }
  }

  const refresh = async (api: OAuthClient, subject: Subject, refreshToken: string): Promise<TokenResponse> => {
    const issued = await repeatRefresh(() => api.refresh(refreshToken, subject), clock)
    // If the answer has no new refresh token, the old one stays valid (RFC 6749, section 6).
    return { ...issued, tokens: { refreshToken, ...issued.tokens } }
  }

  return async (grant, lease, renew) => {
    if (oauth === undefined) throw new TokenRefusal('refused', 0, 'HIGHLEVEL_CLIENT_ID is not set')
    const { subject, scopes, tokens } = grant
    const acquiredAs = (kind: GrantKind) => (issued: TokenResponse) => ({
      kind,
      tokens: issued.tokens,
      scopes: issued.scope ?? scopes
    })
    const byMint = () => mint(oauth, grant, renew).then(acquiredAs('minted'))
    const byRefresh = (token: string) => refresh(oauth, subject, token).then(acquiredAs('oauth'))
    if (grant.kind === 'minted') return byMint()

    const { refreshToken: current, previousRefreshToken: previous } = tokens ?? {}
    const refreshed =
      current === undefined
        ? Promise.reject(new TokenRefusal('invalid-grant', 0, 'the grant holds no refresh token'))
        : byRefresh(current)
    return refreshed.catch((refusal: unknown) => {
      if (!mayEndGrant(refusal)) throw refusal
      const repeat = current === undefined ? undefined : () => byRefresh(current)
      const fallbacks = [
        ...(previous === undefined ? [] : [() => byRefresh(previous)]),
        ...(subject.startsWith('location:') && grant.companyId !== null ? [byMint] : [])
      ]
      return recover({ grant, lease, refusal, repeat, fallbacks })
    })
  }
}
