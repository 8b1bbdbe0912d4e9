import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { Problem } from '../problems.ts'
import { type Answer, createTrace, type Send } from '../upstream/call.ts'
import { withoutValues } from '../upstream/redact.ts'
import { readWords } from '../upstream/words.ts'
import type { Tokens } from './vault.ts'

/** Long, since giving up on an answer that carries the next refresh token is what loses grants. */
export const TOKEN_CALL_TIMEOUT_MS = 25_000

/**
 * `invalid-grant`: what was presented is spent or unknown, and will be for ever. `inactive`: the location is paused,
 * and the same token works again later. `refused`: HighLevel refused for another reason, such as client credentials.
 */
export class TokenRefusal extends Error {
  override readonly name = 'TokenRefusal'
  readonly kind: 'invalid-grant' | 'inactive' | 'refused'

  constructor(kind: TokenRefusal['kind'], status: number, said: string) {
    super(`HighLevel's token endpoint answered ${status}: ${said.slice(0, 200)}`)
    this.kind = kind
  }
}

const TokenAnswer = Type.Object({
  access_token: Type.String({ minLength: 1 }),
  refresh_token: Type.Optional(Type.String({ minLength: 1 })),
  expires_in: Type.Number({ exclusiveMinimum: 0 }),
  scope: Type.Optional(Type.String()),
  userType: Type.Optional(Type.String()),
  companyId: Type.Optional(Type.String({ minLength: 1 })),
  locationId: Type.Optional(Type.String({ minLength: 1 })),
  approvedLocations: Type.Optional(Type.Array(Type.String({ minLength: 1 })))
})
const tokenAnswer = Compile(TokenAnswer)

const InstalledLocations = Type.Object({ locations: Type.Array(Type.Object({ _id: Type.String({ minLength: 1 }) })) })
const installedLocations = Compile(InstalledLocations)

export interface Issued extends Static<typeof TokenAnswer> {
  tokens: Tokens
}

interface Options {
  clientId: string
  clientSecret: string
  redirectUri: string
  now: () => number
}

const secretsIn = ({ refresh_token, code, client_secret }: Record<string, string> = {}) => [
  refresh_token,
  code,
  client_secret
]

function refusal(answer: Answer, form: Record<string, string> | undefined): Error {
  const words = readWords(answer)
  if (answer.status >= 500 || answer.status === 429 || !words.readable) {
    return new Problem('upstream-unavailable', 'HighLevel’s token endpoint does not work at the moment', {
      upstream: { status: answer.status },
      retryAfterSeconds: 5
    })
  }
  const said = `${words.errorCode ?? ''} ${words.message ?? ''}`.trim()
  const inactive = /location is not active/i.test(said)
  const ended = /invalid_grant|invalid grant|refresh token is invalid|authorization code not found/i.test(said)
  const kind = inactive ? 'inactive' : ended ? 'invalid-grant' : 'refused'
  return new TokenRefusal(kind, answer.status, withoutValues(said, secretsIn(form)))
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
    if (answer.status < 200 || answer.status >= 300) throw refusal(answer, form)
    return parse(answer)
  }

  const issue = async (path: string, form: Record<string, string>, accessToken?: string): Promise<Issued> => {
    const issuedAt = now()
    const body = await ask(path, form, accessToken)
    if (!tokenAnswer.Check(body)) throw new Problem('upstream-unreadable', 'HighLevel’s token answer holds no token')
    const tokens: Tokens = { accessToken: body.access_token, expiresAt: issuedAt + body.expires_in * 1_000, issuedAt }
    if (body.refresh_token !== undefined) tokens.refreshToken = body.refresh_token
    return { ...body, tokens }
  }

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
      const ids: string[] = []
      const pageSize = 100
      for (let skip = 0; ; skip += pageSize) {
        const query = {
          companyId,
          appId: clientId.split('-')[0] ?? clientId,
          isInstalled: 'true',
          skip: String(skip),
          limit: String(pageSize)
        }
        const body = await ask(`/oauth/installedLocations?${new URLSearchParams(query)}`, undefined, companyToken)
        if (!installedLocations.Check(body))
          throw new Problem('upstream-unreadable', 'HighLevel’s list of locations cannot be read')
        ids.push(...body.locations.map(({ _id }) => _id))
        if (body.locations.length < pageSize) return ids
      }
    }
  }
}

export type OAuthApi = ReturnType<typeof createOAuthApi>
