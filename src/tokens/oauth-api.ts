import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { Problem } from '../problems.ts'
import { isTokenFault } from '../upstream/answers.ts'
import { type Answer, createTrace, type Send } from '../upstream/call.ts'
import { withoutValues } from '../upstream/redact.ts'
import { readWords } from '../upstream/words.ts'
import { type Issued, readIssued } from './token-answer.ts'
import { TokenRefusal } from './token-refusal.ts'

/** Long, since giving up on an answer that carries the next refresh token is what loses grants. */
export const TOKEN_CALL_TIMEOUT_MS = 25_000

const PAGE_SIZE = 100
const MAX_PAGES = 1_000

const InstalledLocations = Type.Object({ locations: Type.Array(Type.Object({ _id: Type.String({ minLength: 1 }) })) })
const installedLocations = Compile(InstalledLocations)

export type { Issued } from './token-answer.ts'

interface Options {
  clientId: string
  clientSecret: string
  redirectUri: string
  now: () => number
}

/** What was presented is spent or unknown; or, of a mint, the company reaches this location no more. */
const ENDED =
  /invalid_grant|invalid grant|refresh token is invalid|authorization code not found|does not have access to this location|location is not accessible/i

const secretsIn = ({ refresh_token, code, client_secret }: Record<string, string> = {}) => [
  refresh_token,
  code,
  client_secret
]

function refusal(answer: Answer, secrets: readonly unknown[]): Error {
  const words = readWords(answer)
  if (answer.status >= 500 || answer.status === 429 || !words.readable) {
    return new Problem('upstream-unavailable', 'HighLevel’s token endpoint does not work at the moment', {
      upstream: { status: answer.status },
      retryAfterSeconds: 5
    })
  }
  const said = `${words.errorCode ?? ''} ${words.message ?? ''}`.trim()
  const inactive = /location is not active/i.test(said)
  // By its words alone: a 403 or 404 of something before HighLevel must not end a grant.
  const ended = ENDED.test(said)
  const kind = inactive ? 'inactive' : ended ? 'invalid-grant' : 'refused'
  return new TokenRefusal(kind, answer.status, withoutValues(said, secrets), isTokenFault(answer))
}

const parse = (answer: Answer): unknown => {
  try {
    return JSON.parse(answer.body.toString('utf8'))
  } catch {
    return undefined
  }
}

/** HighLevel's OAuth endpoints. Reject with TokenRefusal where HighLevel said no, with a Problem where it said nothing. */
export function createOAuthApi(send: Send, { clientId, clientSecret, redirectUri, now }: Options) {
  const ask = async (
    path: string,
    form: Record<string, string> | undefined,
    accessToken?: string
  ): Promise<unknown> => {
    const answer = await send({
      method: form ? 'POST' : 'GET',
      path,
      ...(form && { body: new URLSearchParams(form).toString(), contentType: 'application/x-www-form-urlencoded' }),
      ...(accessToken !== undefined && { authorization: `Bearer ${accessToken}` }),
      deadlineAt: performance.now() + TOKEN_CALL_TIMEOUT_MS,
      trace: createTrace()
    })
    if (answer.status < 200 || answer.status >= 300) throw refusal(answer, [...secretsIn(form), accessToken])
    return parse(answer)
  }

  const issue = async (path: string, form: Record<string, string>, accessToken?: string): Promise<Issued> => {
    const issuedAt = now()
    const issued = readIssued(await ask(path, form, accessToken), issuedAt)
    if (issued === undefined) throw new Problem('upstream-unreadable', 'HighLevel’s token answer holds no token')
    return issued
  }

  const appId = clientId.split('-')[0] ?? clientId
  const client = { client_id: clientId, client_secret: clientSecret }

  return {
    exchangeCode: (code: string) =>
      issue('/oauth/token', {
        ...client,
        grant_type: 'authorization_code',
        code,
        user_type: 'Location',
        redirect_uri: redirectUri
      }),

    refresh: (refreshToken: string, userType: 'Location' | 'Company') =>
      issue('/oauth/token', {
        ...client,
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
        user_type: userType,
        redirect_uri: redirectUri
      }),

    /** A location's token from its company's. Its own refresh token is not kept: the company's grant can always mint again. */
    async mint(companyToken: string, companyId: string, locationId: string): Promise<Issued> {
      const { tokens, ...rest } = await issue('/oauth/locationToken', { companyId, locationId }, companyToken)
      const { refreshToken: _, ...kept } = tokens
      return { ...rest, tokens: kept }
    },

    /** The ids of the company's locations in which the app is installed. May be empty for minutes after a bulk install. */
    async installedLocations(companyToken: string, companyId: string): Promise<string[]> {
      const ids = new Set<string>()
      for (let page = 0; page < MAX_PAGES; page += 1) {
        const query = {
          companyId,
          appId,
          isInstalled: 'true',
          skip: String(page * PAGE_SIZE),
          limit: String(PAGE_SIZE)
        }
        const body = await ask(`/oauth/installedLocations?${new URLSearchParams(query)}`, undefined, companyToken)
        if (!installedLocations.Check(body)) {
          throw new Problem('upstream-unreadable', 'HighLevel’s list of locations cannot be read')
        }
        const known = ids.size
        for (const { _id } of body.locations) ids.add(_id)
        // A page that brings nothing new is the end, whatever size its pages are and whether it counts `skip` at all.
        if (ids.size === known) break
      }
      return [...ids]
    }
  }
}

export type OAuthApi = ReturnType<typeof createOAuthApi>
