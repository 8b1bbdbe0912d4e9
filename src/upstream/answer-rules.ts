import type { ProblemCode } from '../problems.ts'
import type { Words } from './words.ts'

export interface Rule {
  /** One status, or a hundred of them by its first digit. */
  status: number | '3xx' | '4xx' | '5xx'
  /** Absent: whatever the message. */
  says?: RegExp
  code: ProblemCode
  detail: string
  /** A new token may help: the token is dead, or the words are not known and the token is the likeliest reason. */
  tokenFault?: true
}

const CLASS =
  'The token of this location is of a class that HighLevel does not take here: connect the sub-account itself'
const VERSION = 'HighLevel refused the API version or the endpoint'

/**
 * HighLevel's answers by status and message; the first row that fits counts. One status has several meanings, so the
 * message decides, and the last row of a status is the answer to messages that nobody has seen yet.
 */
const rules: readonly Rule[] = [
  {
    status: 400,
    says: /duplicate_record|same value for .* already exists/i,
    code: 'duplicate-value',
    detail: 'Another record holds the same value in a unique field'
  },
  {
    status: 400,
    says: /^Invalid API version|not available in API version|^API endpoint has been removed/i,
    code: 'upstream-contract-changed',
    detail: VERSION
  },
  {
    status: 400,
    says: /not a valid ObjectId/i,
    code: 'record-not-found',
    detail: 'HighLevel does not take this as a record id'
  },
  {
    status: 401,
    says: /not authorized for this scope/i,
    code: 'location-scope-missing',
    detail: 'The connection of this location lacks the scope for this call'
  },
  { status: 401, says: /version/i, code: 'upstream-contract-changed', detail: VERSION },
  { status: 401, says: /user type|authClass/i, code: 'location-reconnect-required', detail: CLASS },
  {
    status: 401,
    says: /location is not accessible/i,
    code: 'location-reconnect-required',
    detail: 'The token does not reach this location'
  },
  {
    status: 401,
    says: /jwt|token|expired/i,
    code: 'location-reconnect-required',
    detail: 'HighLevel no longer takes the token of this location',
    tokenFault: true
  },
  {
    status: 401,
    code: 'upstream-contract-changed',
    detail: 'HighLevel refused the call for a reason this gateway does not know',
    tokenFault: true
  },
  {
    status: 403,
    says: /does not have access to this location/i,
    code: 'location-reconnect-required',
    detail: 'The app is no longer installed in this location'
  },
  {
    status: 403,
    code: 'upstream-contract-changed',
    detail: 'HighLevel forbade the call for a reason this gateway does not know'
  },
  { status: 404, says: /^Cannot [A-Z]+ \//, code: 'upstream-contract-changed', detail: VERSION },
  {
    status: 404,
    says: /object .*not found/i,
    code: 'object-not-found',
    detail: 'HighLevel knows no such object in this location'
  },
  { status: 404, code: 'record-not-found', detail: 'HighLevel knows no such record in this object and location' },
  { status: 408, code: 'upstream-failed', detail: 'Something before HighLevel gave up waiting' },
  { status: 499, code: 'upstream-failed', detail: 'Something before HighLevel gave up waiting' },
  {
    status: '3xx',
    code: 'upstream-contract-changed',
    detail: 'HighLevel answered with a redirect, which is not followed'
  },
  { status: '4xx', code: 'upstream-rejected', detail: 'HighLevel refused the values: see upstream.message' },
  { status: '5xx', code: 'upstream-failed', detail: 'HighLevel answered with an error of its own' }
]

const fits = (rule: Rule, status: number, said: string) =>
  (typeof rule.status === 'number' ? rule.status === status : rule.status[0] === String(status)[0]) &&
  (rule.says === undefined || rule.says.test(said))

/** `undefined` only for a status outside 3xx to 5xx. */
export const ruleFor = (status: number, words: Words): Rule | undefined => {
  const said = `${words.message ?? ''} ${words.errorCode ?? ''}`.trim()
  return rules.find((rule) => fits(rule, status, said))
}
