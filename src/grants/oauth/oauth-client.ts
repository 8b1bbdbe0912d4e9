import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { type Answer, type Call, createCallRecord, type Send } from '../../highlevel/call.ts'
import { createWriteState, isRefusal } from '../../highlevel/write-outcome.ts'
import { Problem } from '../../problems/problem.ts'
import type { Subject } from '../grant.ts'
import { type Ask, refusalOf } from './read-refusal.ts'
import { TokenRefusal } from './token-refusal.ts'
import { type Issued, readIssued } from './token-response.ts'
import { UnknownOutcome } from './unknown-outcome.ts'

/** Long, since giving up on an answer that carries the next refresh token is what loses grants. */
export const TOKEN_CALL_TIMEOUT_MS = 25_000

const PAGE_SIZE = 100
const MAX_PAGES = 1_000

const InstalledLocations = Type.Object({ locations: Type.Array(Type.Object({ _id: Type.String({ minLength: 1 }) })) })
const installedLocations = Compile(InstalledLocations)

export type { Issued } from './token-response.ts'

interface Options {
  clientId: string
  clientSecret: string
  redirectUri: string
  now: () => number
  /** Told of an answer that belonged to another call. */
  foreign: (path: string) => void
}

const parse = (answer: Answer): unknown => {
  try {
    return JSON.parse(answer.body.toString('utf8'))
  } catch {
    return undefined
  }
}

/** What was asked for, and how. */
interface Question {
  ask: Ask
  path: string
  form?: Record<string, string>
  accessToken?: string
  /** Whose tokens are wanted, where that is known: the answer must not name another. */
  holder?: { locationId?: string; companyId?: string }
}

/** An answer that belongs to another call, such as one that was left over on a connection. */
const isForeign = (issued: Issued, { holder = {} }: Question): boolean =>
  (['locationId', 'companyId'] as const).some(
    (name) => holder[name] !== undefined && issued[name] !== undefined && issued[name] !== holder[name]
  )

/** Known not to have been carried out: HighLevel refused it, or it never went on the wire. */
const changedNothing = (failure: unknown, wasSent: boolean): boolean =>
  !wasSent ||
  (failure instanceof TokenRefusal && failure.kind !== 'in-progress' && isRefusal(failure.status)) ||
  (failure instanceof Problem && failure.extras.upstream?.status === 429)

const callFor = ({ path, form, accessToken }: Question): Call => ({
  method: form ? 'POST' : 'GET',
  path,
  ...(form && { body: new URLSearchParams(form).toString(), contentType: 'application/x-www-form-urlencoded' }),
  ...(accessToken !== undefined && { authorization: `Bearer ${accessToken}` }),
  deadlineAt: performance.now() + TOKEN_CALL_TIMEOUT_MS,
  callRecord: createCallRecord(),
  write: createWriteState(),
  isSent: false
})

/** HighLevel's OAuth endpoints. Reject with TokenRefusal where HighLevel said no, with a Problem where it said nothing. */
export function createOAuthClient(send: Send, { clientId, clientSecret, redirectUri, now, foreign }: Options) {
  const answerTo = async (question: Question, call = callFor(question)): Promise<unknown> => {
    const { ask, form, accessToken } = question
    const answer = await send(call)
    if (answer.status < 200 || answer.status >= 300) throw refusalOf(ask, answer, form, accessToken)
    return parse(answer)
  }

  const issue = async (question: Question, call = callFor(question)): Promise<Issued> => {
    const issuedAt = now()
    const issued = readIssued(await answerTo(question, call), issuedAt)
    if (issued === undefined) throw new Problem('upstream-unreadable', 'HighLevel’s token answer holds no token')
    if (!isForeign(issued, question)) return issued
    foreign(question.path)
    throw new Problem('upstream-unreadable', 'HighLevel’s token answer belongs to another call')
  }

  const appId = clientId.split('-')[0] ?? clientId
  const client = { client_id: clientId, client_secret: clientSecret }

  return {
    exchangeCode: (code: string) =>
      issue({
        ask: 'code',
        path: '/oauth/token',
        form: {
          ...client,
          grant_type: 'authorization_code',
          code,
          user_type: 'Location',
          redirect_uri: redirectUri
        }
      }),

    /** Rejects with an UnknownOutcome where HighLevel may have rotated and no pair came back. */
    async refresh(refreshToken: string, subject: Subject): Promise<Issued> {
      const askedAt = now()
      const isCompany = subject.startsWith('company:')
      const id = subject.slice(subject.indexOf(':') + 1)
      const form = {
        ...client,
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
        user_type: isCompany ? 'Company' : 'Location',
        redirect_uri: redirectUri
      }
      const holder = isCompany ? { companyId: id } : { locationId: id }
      const question: Question = { ask: 'refresh', path: '/oauth/token', form, holder }
      const call = callFor(question)
      try {
        return await issue(question, call)
      } catch (failure) {
        throw changedNothing(failure, call.isSent) ? failure : new UnknownOutcome(failure, askedAt)
      }
    },

    /** A location's token from its company's. Its own refresh token is not kept: the company's grant can always mint again. */
    async mint(accessToken: string, companyId: string, locationId: string): Promise<Issued> {
      const form = { companyId, locationId }
      const question: Question = { ask: 'mint', path: '/oauth/locationToken', form, accessToken, holder: form }
      const { tokens, ...rest } = await issue(question)
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
        const path = `/oauth/installedLocations?${new URLSearchParams(query)}`
        const body = await answerTo({ ask: 'mint', path, accessToken: companyToken })
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

export type OAuthClient = ReturnType<typeof createOAuthClient>
