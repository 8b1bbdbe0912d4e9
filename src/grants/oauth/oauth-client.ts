import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { type Answer, type Call, createCallRecord, type Send } from '../../highlevel/call.ts'
import { createWriteState, isRefusal } from '../../highlevel/write-outcome.ts'
import { Problem } from '../../problems/problem.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Subject } from '../grant.ts'
import { readRefusal, type TokenRequestKind } from './read-refusal.ts'
import { TokenRefusal } from './token-refusal.ts'
import { readTokenResponse, type TokenResponse } from './token-response.ts'
import { UnknownOutcome } from './unknown-outcome.ts'

/** Long, because giving up on an answer that carries the next refresh token can lose the grant. */
export const TOKEN_CALL_TIMEOUT_MS = 25_000

const PAGE_SIZE = 100
const MAX_PAGES = 1_000

const InstalledLocations = Type.Object({ locations: Type.Array(Type.Object({ _id: Type.String({ minLength: 1 }) })) })
const installedLocations = Compile(InstalledLocations)

export type { TokenResponse } from './token-response.ts'

interface Options {
  clientId: string
  clientSecret: string
  redirectUri: string
  clock: Clock
  /** Called with the path when an answer belongs to another call. */
  onMismatchedAnswer: (path: string) => void
}

const parse = (answer: Answer): unknown => {
  try {
    return JSON.parse(answer.body.toString('utf8'))
  } catch {
    return undefined
  }
}

interface TokenRequest {
  kind: TokenRequestKind
  path: string
  form?: Record<string, string>
  accessToken?: string
  /** Whose tokens are requested, if known: the answer must not name anyone else. */
  owner?: { locationId?: string; companyId?: string }
}

/** Whether an answer belongs to another call, such as one left over on the connection. */
const isMismatched = (response: TokenResponse, { owner = {} }: TokenRequest): boolean =>
  (['locationId', 'companyId'] as const).some(
    (name) => owner[name] !== undefined && response[name] !== undefined && response[name] !== owner[name]
  )

/** Whether HighLevel certainly did not carry out the refresh: it refused, or the request was never sent. */
const isKnownNotApplied = (failure: unknown, wasSent: boolean): boolean =>
  !wasSent ||
  (failure instanceof TokenRefusal && failure.kind !== 'in-progress' && isRefusal(failure.status)) ||
  (failure instanceof Problem && failure.extras.upstream?.status === 429)

const toCall = ({ path, form, accessToken }: TokenRequest, startedAt: number): Call => ({
  method: form ? 'POST' : 'GET',
  path,
  ...(form && { body: new URLSearchParams(form).toString(), contentType: 'application/x-www-form-urlencoded' }),
  ...(accessToken !== undefined && { authorization: `Bearer ${accessToken}` }),
  deadlineAt: startedAt + TOKEN_CALL_TIMEOUT_MS,
  callRecord: createCallRecord(),
  write: createWriteState(),
  isSent: false
})

/**
 * HighLevel's OAuth endpoints. Each method rejects with a TokenRefusal if HighLevel refuses, and with a Problem if no
 * usable answer comes.
 */
export function createOAuthClient(send: Send, options: Options) {
  const { clientId, clientSecret, redirectUri, clock, onMismatchedAnswer } = options
  const newCall = (tokenRequest: TokenRequest) => toCall(tokenRequest, clock.monotonic())

  const request = async (tokenRequest: TokenRequest, call = newCall(tokenRequest)): Promise<unknown> => {
    const { kind, form, accessToken } = tokenRequest
    const answer = await send(call)
    if (answer.status < 200 || answer.status >= 300) throw readRefusal(kind, answer, form, accessToken)
    return parse(answer)
  }

  const requestTokens = async (tokenRequest: TokenRequest, call = newCall(tokenRequest)): Promise<TokenResponse> => {
    const issuedAt = clock.now()
    const response = readTokenResponse(await request(tokenRequest, call), issuedAt)
    if (response === undefined) throw new Problem('upstream-unreadable', 'HighLevel’s token answer contains no token')
    if (!isMismatched(response, tokenRequest)) return response
    onMismatchedAnswer(tokenRequest.path)
    throw new Problem('upstream-unreadable', 'HighLevel’s token answer belongs to another call')
  }

  const client = { client_id: clientId, client_secret: clientSecret }

  return {
    exchangeCode: (code: string) =>
      requestTokens({
        kind: 'code',
        path: '/oauth/token',
        form: {
          ...client,
          grant_type: 'authorization_code',
          code,
          user_type: 'Location',
          redirect_uri: redirectUri
        }
      }),

    /** Rejects with an UnknownOutcome if HighLevel may have spent the refresh token and no new tokens arrived. */
    async refresh(refreshToken: string, subject: Subject): Promise<TokenResponse> {
      const requestedAt = clock.now()
      const isCompany = subject.startsWith('company:')
      const id = subject.slice(subject.indexOf(':') + 1)
      const form = {
        ...client,
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
        user_type: isCompany ? 'Company' : 'Location',
        redirect_uri: redirectUri
      }
      const owner = isCompany ? { companyId: id } : { locationId: id }
      const tokenRequest: TokenRequest = { kind: 'refresh', path: '/oauth/token', form, owner }
      const call = newCall(tokenRequest)
      try {
        return await requestTokens(tokenRequest, call)
      } catch (failure) {
        throw isKnownNotApplied(failure, call.isSent) ? failure : new UnknownOutcome(failure, requestedAt)
      }
    },

    /** Mints a location's token with its company's. Drops the minted refresh token: the company can mint again. */
    async mint(accessToken: string, companyId: string, locationId: string): Promise<TokenResponse> {
      const form = { companyId, locationId }
      const { tokens, ...rest } = await requestTokens({
        kind: 'mint',
        path: '/oauth/locationToken',
        form,
        accessToken,
        owner: form
      })
      const { refreshToken: _, ...kept } = tokens
      return { ...rest, tokens: kept }
    },

    /** The ids of the company's locations that have the app. May be empty for minutes after a bulk install. */
    installedLocations: (accessToken: string, companyId: string): Promise<string[]> =>
      listInstalledLocations((path) => request({ kind: 'mint', path, accessToken }), {
        companyId,
        appId: clientId.split('-')[0] ?? clientId,
        isInstalled: 'true'
      })
  }
}

export type OAuthClient = ReturnType<typeof createOAuthClient>

/** Reads page by page until a page has no new ids, whatever HighLevel's page size is and even if it ignores `skip`. */
async function listInstalledLocations(
  get: (path: string) => Promise<unknown>,
  query: Record<string, string>
): Promise<string[]> {
  const ids = new Set<string>()
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const paging = { skip: String(page * PAGE_SIZE), limit: String(PAGE_SIZE) }
    const body = await get(`/oauth/installedLocations?${new URLSearchParams({ ...query, ...paging })}`)
    if (!installedLocations.Check(body)) {
      throw new Problem('upstream-unreadable', 'HighLevel’s list of locations is unreadable')
    }
    const sizeBefore = ids.size
    for (const { _id } of body.locations) ids.add(_id)
    if (ids.size === sizeBefore) break
  }
  return [...ids]
}
