import { retryAfterMs, toRetryAfterSeconds } from '../../highlevel/answer-headers.ts'
import type { Answer } from '../../highlevel/call.ts'
import { readUpstreamError } from '../../highlevel/errors/error-body.ts'
import { withoutValues } from '../../highlevel/errors/redact.ts'
import { isTokenFault } from '../../highlevel/errors/to-problem.ts'
import { Problem } from '../../problems/problem.ts'
import { type RefusalKind, TokenRefusal } from './token-refusal.ts'

/** What HighLevel was asked for: the tokens for a refresh token or a code, or a location's from its company's. */
export type Ask = 'refresh' | 'code' | 'mint'

/** A paused location. Its refresh token works again when it is active. */
const INACTIVE = /location is not active/i

/** The same refresh is being carried out, or none is taken at the moment. */
const IN_PROGRESS =
  /\b(already|currently|still) (being|in|under)\b|being processed|in progress|concurrent|try again|try later|temporar|timed? ?out|too many|rate limit/i

/** The client or the request is at fault, and whoever mends it finds the grant alive. */
const CLIENT =
  /invalid[_ ]client|unauthorized_client|client[_ ]?(credentials|id|secret)|unsupported_grant_type|grant[_ ]?type|redirect[_ ]?uri|user[_ ]?type|invalid[_ ]scope|invalid parameter|missing parameter|should not|must be|version/i

/** Of any ask: what was presented is spent or unknown; or, of a mint, the company reaches this location no more. */
const ENDED =
  /^invalid[_ ]grant$|refresh token is invalid|authorization code not found|does not have access to this location|location is not accessible/i

/** Of a refresh alone: where a company's access token has expired, its locations are none the worse. */
const isSpent = (said: string, text: string): boolean =>
  (/\b(revoked|rotated|expired|already (been )?used|used already)\b/i.test(text) &&
    /token|grant|invalid_request/i.test(said)) ||
  /(\b(invalid|unknown)\b.*\b(token|grant)\b)|(\b(token|grant)\b.*\b(invalid|unknown|not found)\b)/i.test(text)

/** The statuses of OAuth's own refusals (RFC 6749, section 5.2). Others come from what stands before HighLevel. */
const OAUTH_STATUSES: readonly number[] = [400, 401]

/**
 * What a refusal means, by its words: a 403 or 404 of something before HighLevel must not end a grant. `code` is OAuth's
 * `error`, `text` what was said beside it; either may be ''. That `code` is "invalid_grant" proves little, since all kinds
 * of words stand beside it.
 */
export function kindOfRefusal(ask: Ask, status: number, code: string, text: string): RefusalKind {
  const said = `${code} ${text}`
  if (INACTIVE.test(said)) return 'inactive'
  if (CLIENT.test(said)) return 'refused'
  if (ask !== 'refresh')
    return ENDED.test(text || code) || (ask === 'code' && ENDED.test(code)) ? 'invalid-grant' : 'refused'

  const isEnded = ENDED.test(text || code) || isSpent(said, text)
  const isBusy = IN_PROGRESS.test(text)
  if (isEnded !== isBusy) return isEnded ? 'invalid-grant' : 'in-progress'
  return isEnded || OAUTH_STATUSES.includes(status) ? 'unrecognized' : 'refused'
}

/**
 * What an answer of the token endpoints that is no success means. `form` and `accessToken` were sent: their secrets are
 * taken out of what was said.
 */
export function refusalOf(
  ask: Ask,
  answer: Answer,
  form: Record<string, string> = {},
  accessToken?: string
): TokenRefusal | Problem {
  const words = readUpstreamError(answer)
  const { status } = answer
  // A redirect, a 408 or a page of an edge server says nothing of what HighLevel did.
  if (status < 400 || status >= 500 || status === 408 || status === 429 || !words.readable) {
    return new Problem('upstream-unavailable', 'HighLevel’s token endpoint does not work at the moment', {
      upstream: { status },
      retryAfterSeconds: toRetryAfterSeconds(retryAfterMs(answer, 5_000))
    })
  }
  const { errorCode = '', message = '' } = words
  const kind = kindOfRefusal(ask, status, errorCode, message)
  const secrets = [form['refresh_token'], form['code'], form['client_secret'], accessToken]
  const said = errorCode === message ? message : `${errorCode} ${message}`.trim()
  return new TokenRefusal(kind, status, withoutValues(said, secrets), { isTokenFault: isTokenFault(answer) })
}
