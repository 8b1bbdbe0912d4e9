import type { ProblemCode } from '../../problems/catalog.ts'
import type { UpstreamError } from './error-body.ts'

/** What a call is about: HighLevel uses one status, and at times one sentence, for all of them. */
export type About = 'write' | 'record' | 'object'

export interface Rule {
  /** Some statuses, or a hundred of them by their first digit. */
  status: number | readonly number[] | '3xx' | '4xx' | '5xx'
  /** Absent: whatever the call is about. */
  about?: readonly About[]
  /** Absent: whatever the message. */
  says?: RegExp
  code: ProblemCode
  detail: string
  /** A new token may help: the token is dead, or the words are not known and the token is the likeliest reason. */
  tokenFault?: true
}

const REFUSED: readonly number[] = [400, 422]
const MISSING: readonly number[] = [400, 404, 422]
const READS: readonly About[] = ['record', 'object']

/** Word for word: a field may be named for a record, and HighLevel repeats its name. */
const NO_RECORD =
  /^(?:(?:the|this|custom|object) )*record(?: with)?(?: the)?(?: id)?[ :]*['"]?(?:[0-9a-f]{24})?['"]? *(?:was |is |has been |does |could )?(?:not (?:be )?(?:found|exist)|doesn['’]t exist|deleted)\b|^no (?:such )?record (?:was )?found\b/i
const NO_OBJECT = /^(?:(?:the|this|custom) )*object\b.*\b(?:not found|not exist|doesn['’]t exist)/i
const NO_SUCH = /not found|not exist|doesn['’]t exist/i

const CLASS =
  'The token of this location is of a class that HighLevel does not take here: connect the sub-account itself'
const OBJECT = 'HighLevel knows no such object in this location'
const RECORD = 'HighLevel knows no such record in this object and location'
const VERSION = 'HighLevel refused the API version or the endpoint'

/**
 * HighLevel's answers by status and message; the first row that fits counts. One status has several meanings, so the
 * message decides, and the last row of a status is the answer to messages that nobody has seen yet.
 */
const rules: readonly Rule[] = [
  {
    status: 400,
    about: ['write'],
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
    status: REFUSED,
    about: ['object'],
    says: /not a valid ObjectId|^invalid (?:object |schema )?key/i,
    code: 'object-not-found',
    detail: 'HighLevel does not take this as an object'
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
    says: /^(?:location|sub-?account)\b.*not found/i,
    code: 'location-reconnect-required',
    detail: 'HighLevel knows no such location'
  },
  {
    status: 404,
    about: ['write'],
    says: /^users?\b.*not found/i,
    code: 'upstream-rejected',
    detail: 'HighLevel knows no such user: see upstream.message'
  },
  { status: MISSING, about: ['write', 'record'], says: NO_RECORD, code: 'record-not-found', detail: RECORD },
  { status: MISSING, says: NO_OBJECT, code: 'object-not-found', detail: OBJECT },
  { status: 404, says: /object .*not found/i, code: 'object-not-found', detail: OBJECT },
  { status: 404, about: ['object'], code: 'object-not-found', detail: OBJECT },
  { status: 404, code: 'record-not-found', detail: RECORD },
  { status: REFUSED, about: ['object'], says: NO_SUCH, code: 'object-not-found', detail: OBJECT },
  { status: REFUSED, about: ['record'], says: NO_SUCH, code: 'record-not-found', detail: RECORD },
  { status: 408, code: 'upstream-failed', detail: 'Something before HighLevel gave up waiting' },
  { status: 499, code: 'upstream-failed', detail: 'Something before HighLevel gave up waiting' },
  {
    status: '3xx',
    code: 'upstream-contract-changed',
    detail: 'HighLevel answered with a redirect, which is not followed'
  },
  // The gateway made the call: a caller has no values in it to mend.
  {
    status: '4xx',
    about: READS,
    code: 'upstream-contract-changed',
    detail: 'HighLevel refused to be read in this way: see upstream.message'
  },
  { status: REFUSED, code: 'upstream-rejected', detail: 'HighLevel refused the values: see upstream.message' },
  {
    status: '4xx',
    code: 'upstream-rejected',
    detail: 'HighLevel refused the write for a reason this gateway does not know: see upstream.message'
  },
  { status: '5xx', code: 'upstream-failed', detail: 'HighLevel answered with an error of its own' }
]

const hasStatus = (rule: Rule['status'], status: number): boolean => {
  if (typeof rule === 'number') return rule === status
  return typeof rule === 'string' ? rule[0] === String(status)[0] : rule.includes(status)
}

const fits = (rule: Rule, about: About, status: number, said: string) =>
  hasStatus(rule.status, status) &&
  (rule.about === undefined || rule.about.includes(about)) &&
  (rule.says === undefined || rule.says.test(said))

/** `undefined` only for a status outside 3xx to 5xx. */
export const ruleFor = (about: About, status: number, words: UpstreamError): Rule | undefined => {
  const said = `${words.message ?? ''} ${words.errorCode ?? ''}`.trim()
  return rules.find((rule) => fits(rule, about, status, said))
}
