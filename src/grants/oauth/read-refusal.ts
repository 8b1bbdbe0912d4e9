import { retryAfterMs, toRetryAfterSeconds } from '../../highlevel/answer-headers.ts'
import type { Answer } from '../../highlevel/call.ts'
import { readUpstreamError } from '../../highlevel/errors/error-body.ts'
import { withoutValues } from '../../highlevel/errors/redact.ts'
import { isTokenFault } from '../../highlevel/errors/to-problem.ts'
import { Problem } from '../../problems/problem.ts'
import { type RefusalKind, TokenRefusal } from './token-refusal.ts'

/** Requests with a refresh token, with an authorization code, or for a location's token with its company's. */
export type TokenRequestKind = 'refresh' | 'code' | 'mint'

/** The location is paused. Its refresh token works again once it is active. */
const INACTIVE = /location is not active/i

/** The same refresh is in progress, or HighLevel accepts none at the moment. */
const IN_PROGRESS =
  /\b(already|currently|still) (being|in|under)\b|being processed|in progress|concurrent|try again|try later|temporar|timed? ?out|too many|rate limit/i

/** The client credentials or the request are wrong. The grant is still valid once they are corrected. */
const CLIENT_ERROR =
  /invalid[_ ]client|unauthorized_client|client[_ ]?(credentials|id|secret)|unsupported_grant_type|grant[_ ]?type|redirect[_ ]?uri|user[_ ]?type|invalid[_ ]scope|invalid parameter|missing parameter|should not|must be|version/i

/** For every kind: the token or code is spent or unknown, or the company has no access to the location any more. */
const ENDED =
  /^invalid[_ ]grant$|refresh token is invalid|authorization code not found|does not have access to this location|location is not accessible/i

/** For a refresh only: in a mint's answer such words are about the company's access token and end no location. */
const isSpent = (combined: string, description: string): boolean =>
  (/\b(revoked|rotated|expired|already (been )?used|used already)\b/i.test(description) &&
    /token|grant|invalid_request/i.test(combined)) ||
  /(\b(invalid|unknown)\b.*\b(token|grant)\b)|(\b(token|grant)\b.*\b(invalid|unknown|not found)\b)/i.test(description)

/** The statuses of OAuth refusals (RFC 6749, section 5.2). Others come from a proxy in front of HighLevel. */
const OAUTH_STATUSES: readonly number[] = [400, 401]

/**
 * Classifies a refusal by its words, not by its status alone: a 403 or 404 of a proxy in front of HighLevel must not end
 * a grant. `code` is OAuth's `error`, `description` its `error_description`; either may be ''. The code "invalid_grant"
 * alone proves little: HighLevel sends it with all kinds of descriptions.
 */
function classifyRefusal(request: TokenRequestKind, status: number, code: string, description: string): RefusalKind {
  const combined = `${code} ${description}`
  if (INACTIVE.test(combined)) return 'inactive'
  if (CLIENT_ERROR.test(combined)) return 'refused'
  if (request !== 'refresh')
    return ENDED.test(description || code) || (request === 'code' && ENDED.test(code)) ? 'invalid-grant' : 'refused'

  const isEnded = ENDED.test(description || code) || isSpent(combined, description)
  const isBusy = IN_PROGRESS.test(description)
  if (isEnded !== isBusy) return isEnded ? 'invalid-grant' : 'in-progress'
  return isEnded || OAUTH_STATUSES.includes(status) ? 'unrecognized' : 'refused'
}

/**
 * Turns an unsuccessful answer of a token endpoint into an error. `form` and `accessToken` were sent with the request:
 * their secrets are removed from HighLevel's words.
 */
export function readRefusal(
  request: TokenRequestKind,
  answer: Answer,
  form: Record<string, string> = {},
  accessToken?: string
): TokenRefusal | Problem {
  const upstreamError = readUpstreamError(answer)
  const { status } = answer
  // A redirect, a 408 or the error page of a proxy does not tell what HighLevel did.
  if (status < 400 || status >= 500 || status === 408 || status === 429 || !upstreamError.readable) {
    return new Problem('upstream-unavailable', 'HighLevel’s token endpoint is not available at the moment', {
      upstream: { status },
      retryAfterSeconds: toRetryAfterSeconds(retryAfterMs(answer, 5_000))
    })
  }
  const { errorCode = '', message = '' } = upstreamError
  const kind = classifyRefusal(request, status, errorCode, message)
  const secrets = [form['refresh_token'], form['code'], form['client_secret'], accessToken]
  const quoted = errorCode === message ? message : `${errorCode} ${message}`.trim()
  return new TokenRefusal(kind, status, withoutValues(quoted, secrets), { isTokenFault: isTokenFault(answer) })
}
