import type { ProblemCode } from '../../problems/catalog.ts'
import { Problem } from '../../problems/problem.ts'
import { type Grant, type GrantKind, isUsable, type Lease, type Subject } from '../grant.ts'
import type { OAuthClient, TokenResponse } from '../oauth/oauth-client.ts'
import { repeatRefresh } from '../oauth/repeat-refresh.ts'
import { mayEndGrant, TokenRefusal } from '../oauth/token-refusal.ts'
import type { PendingSaves } from '../pending-saves.ts'
import type { GrantStore } from '../vault/vault.ts'
import type { AcquiredTokens, Renew } from './acquired-tokens.ts'
import type { Recover } from './recovery.ts'

/**
 * Asks HighLevel for new tokens of a grant that is under `lease`; where another process has done so already, resolves
 * with the grant in force. Rejects with a TokenRefusal where HighLevel says no, with an UnknownOutcome where it may have
 * rotated, with a Problem else.
 */
export type AcquireTokens = (grant: Grant, lease: Lease, renew: Renew) => Promise<AcquiredTokens | Grant>

/** The company's grant cannot serve its locations: what that makes of theirs. */
const companyEnded: Partial<Record<ProblemCode, TokenRefusal>> = {
  'location-not-connected': new TokenRefusal('invalid-grant', 0, 'the company of this location is not connected'),
  'location-reconnect-required': new TokenRefusal('invalid-grant', 0, 'the grant of the company has ended'),
  'location-paused': new TokenRefusal('inactive', 0, 'the company of this location is paused')
}

/** The reasons that such locations bear. Where their company works after all, so do they. */
export const COMPANY_REASONS: readonly string[] = Object.values(companyEnded).map(({ message }) => message)

interface Deps {
  vault: Pick<GrantStore, 'markVerified'>
  saves: Pick<PendingSaves, 'load'>
  /** Absent where the gateway has no client credentials: then nothing can be renewed. */
  oauth: OAuthClient | undefined
  recover: Recover
  now: () => number
}

/** The way of each kind of grant to new tokens. */
export function createAcquireTokens({ vault, saves, oauth, recover, now }: Deps): AcquireTokens {
  /** The company's grant with a token that can be used. `refused`: the access token that HighLevel no longer takes. */
  const companyOf = async (subject: Subject, renew: Renew, refused?: string): Promise<Grant> => {
    const held = await saves.load(subject)
    if (held !== undefined && held.state !== 'uninstalled' && refused === undefined && isUsable(held, now()))
      return held
    return renew(subject, refused).catch((cause) => {
      throw (cause instanceof Problem && companyEnded[cause.code]) || cause
    })
  }

  const mint = async (api: OAuthClient, { subject, companyId }: Grant, renew: Renew): Promise<TokenResponse> => {
    if (companyId === null) throw new TokenRefusal('invalid-grant', 0, 'the grant names no company')
    const companySubject: Subject = `company:${companyId}`
    const ask = async (company: Grant): Promise<TokenResponse> => {
      const minted = await api.mint(company.tokens?.accessToken ?? '', companyId, subject.slice('location:'.length))
      // Where the store cannot be told, it is with the next mint.
      if (!company.verified) await vault.markVerified(companySubject, company.generation, now()).catch(() => undefined)
      return minted
    }

    const company = await companyOf(companySubject, renew)
    try {
      return await ask(company)
    } catch (error) {
      if (!(error instanceof TokenRefusal && error.isTokenFault)) throw error
      return await ask(await companyOf(companySubject, renew, company.tokens?.accessToken))
    }
  }

  const refresh = async (api: OAuthClient, subject: Subject, refreshToken: string): Promise<TokenResponse> => {
    const issued = await repeatRefresh(() => api.refresh(refreshToken, subject))
    // An answer without a new one leaves the old one in force (RFC 6749, section 6).
    return { ...issued, tokens: { refreshToken, ...issued.tokens } }
  }

  return async (grant, lease, renew) => {
    if (oauth === undefined) throw new TokenRefusal('refused', 0, 'HIGHLEVEL_CLIENT_ID is not set')
    const { subject, scopes, tokens } = grant
    const as = (kind: GrantKind) => (issued: TokenResponse) => ({
      kind,
      tokens: issued.tokens,
      scopes: issued.scope ?? scopes
    })
    const byMint = () => mint(oauth, grant, renew).then(as('minted'))
    const byRefresh = (token: string) => refresh(oauth, subject, token).then(as('oauth'))
    if (grant.kind === 'minted') return byMint()

    const first =
      tokens?.refreshToken === undefined
        ? Promise.reject(new TokenRefusal('invalid-grant', 0, 'the grant holds no refresh token'))
        : byRefresh(tokens.refreshToken)
    return first.catch((refusal: unknown) => {
      if (!mayEndGrant(refusal)) throw refusal
      const { refreshToken: current, previousRefreshToken: previous } = tokens ?? {}
      const again = current === undefined ? undefined : () => byRefresh(current)
      const ways = [
        ...(previous === undefined ? [] : [() => byRefresh(previous)]),
        ...(subject.startsWith('location:') && grant.companyId !== null ? [byMint] : [])
      ]
      return recover({ grant, lease, refusal, again, ways })
    })
  }
}
