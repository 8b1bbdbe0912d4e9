import { Problem, type ProblemCode } from '../problems.ts'
import type { GrantSaves } from './grant-saves.ts'
import type { Issued, OAuthApi } from './oauth-api.ts'
import { isUsable, type Renew } from './renewal.ts'
import { TokenRefusal } from './token-refusal.ts'
import type { Grant, Tokens } from './vault.ts'

/** Asks HighLevel for new tokens of a grant. `renew` is for the grant that it is made from, if it is made from one. */
export type Issue = (grant: Grant, renew: Renew) => Promise<{ tokens: Tokens; scopes: string }>

const lostAnswers = new Set<ProblemCode>(['upstream-failed', 'upstream-timeout', 'upstream-unreadable'])

interface Deps {
  grants: Pick<GrantSaves, 'load'>
  /** Absent where the gateway has no client credentials: then nothing can be renewed. */
  oauth: OAuthApi | undefined
  now: () => number
}

/** One way for each kind of grant. Rejects with a TokenRefusal where HighLevel says no, with a Problem else. */
export function createIssue({ grants, oauth, now }: Deps): Issue {
  const mint = async (api: OAuthApi, grant: Grant, renew: Renew): Promise<Issued> => {
    const held = grant.companyId === null ? undefined : await grants.load(`company:${grant.companyId}`)
    if (held === undefined || held.state === 'uninstalled')
      throw new TokenRefusal('invalid-grant', 0, 'the grant of the company is gone')
    const ask = ({ subject, tokens }: Grant) =>
      api.mint(tokens?.accessToken ?? '', subject.slice('company:'.length), grant.subject.slice('location:'.length))

    const company = isUsable(held, now()) ? held : await renew(held)
    try {
      return await ask(company)
    } catch (error) {
      if (!(error instanceof TokenRefusal) || error.status !== 401) throw error
      return await ask(await renew(company, company.tokens?.accessToken))
    }
  }

  const refresh = async (api: OAuthApi, { subject, tokens }: Grant): Promise<Issued> => {
    const refreshToken = tokens?.refreshToken
    if (refreshToken === undefined) throw new TokenRefusal('invalid-grant', 0, 'the grant holds no refresh token')
    const ask = () => api.refresh(refreshToken, subject.startsWith('company:') ? 'Company' : 'Location')
    // Where the answer was lost HighLevel may have rotated: for 30 s it gives the same pair for the same token.
    const issued = await ask().catch((error) => {
      if (error instanceof Problem && lostAnswers.has(error.code)) return ask()
      throw error
    })
    // An answer without a new one leaves the old one in force (RFC 6749, section 6).
    return { ...issued, tokens: { refreshToken, ...issued.tokens } }
  }

  return async (grant, renew) => {
    if (oauth === undefined) throw new TokenRefusal('refused', 0, 'HIGHLEVEL_CLIENT_ID is not set')
    const { tokens, scope } = await (grant.kind === 'minted' ? mint(oauth, grant, renew) : refresh(oauth, grant))
    return { tokens, scopes: scope ?? grant.scopes }
  }
}
