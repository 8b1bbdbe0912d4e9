import type { ProblemCode } from '../../problems/catalog.ts'
import type { UpstreamError } from './error-body.ts'

/** HighLevel uses the same status, and sometimes the same message, for all of them. */
export type CallKind = 'write' | 'read-record' | 'read-object'

export interface Rule {
  /** One or more statuses, or a class of them. */
  status: number | readonly number[] | '3xx' | '4xx' | '5xx'
  /** Absent: any kind. */
  kinds?: readonly CallKind[]
  /** Tested on message and error code. Absent: any text. */
  pattern?: RegExp
  code: ProblemCode
  detail: string
  /** Another token may help: this one is invalid, or the text is unknown and the token is the likeliest reason. */
  tokenFault?: true
}

const REFUSED: readonly number[] = [400, 422]
const MISSING: readonly number[] = [400, 404, 422]
const READS: readonly CallKind[] = ['read-record', 'read-object']

/** Strict, since HighLevel repeats field names in its messages, and a field may have “record” in its name. */
const NO_RECORD =
  /^(?:(?:the|this|custom|object) )*record(?: with)?(?: the)?(?: id)?[ :]*['"]?(?:[0-9a-f]{24})?['"]? *(?:was |is |has been |does |could )?(?:not (?:be )?(?:found|exist)|doesn['’]t exist|deleted)\b|^no (?:such )?record (?:was )?found\b/i
const NO_OBJECT = /^(?:(?:the|this|custom) )*object\b.*\b(?:not found|not exist|doesn['’]t exist)/i
const NO_SUCH = /not found|not exist|doesn['’]t exist/i

const CLASS = 'HighLevel does not accept this class of token for this location: connect the sub-account itself'
const OBJECT = 'HighLevel has no such object in this location'
const RECORD = 'HighLevel has no such record in this object and location'
const VERSION = 'HighLevel refused the API version or the endpoint'

/**
 * HighLevel's errors by status and text. The first rule that matches counts. One status has several meanings, so the
 * text decides. The last rule of a status is for texts that are not known yet.
 */
const rules: readonly Rule[] = [
  {
    status: 400,
    kinds: ['write'],
    pattern: /duplicate_record|same value for .* already exists/i,
    code: 'duplicate-value',
    detail: 'Another record has the same value in a unique field'
  },
  {
    status: 400,
    pattern: /^Invalid API version|not available in API version|^API endpoint has been removed/i,
    code: 'upstream-contract-changed',
    detail: VERSION
  },
  {
    status: REFUSED,
    kinds: ['read-object'],
    pattern: /not a valid ObjectId|^invalid (?:object |schema )?key/i,
    code: 'object-not-found',
    detail: 'HighLevel does not accept this key or id of an object'
  },
  {
    status: 400,
    pattern: /not a valid ObjectId/i,
    code: 'record-not-found',
    detail: 'HighLevel does not accept this record id'
  },
  {
    status: 401,
    pattern: /not authorized for this scope/i,
    code: 'location-scope-missing',
    detail: 'The connection of this location lacks the scope for this call'
  },
  { status: 401, pattern: /version/i, code: 'upstream-contract-changed', detail: VERSION },
  { status: 401, pattern: /user type|authClass/i, code: 'location-reconnect-required', detail: CLASS },
  {
    status: 401,
    pattern: /location is not accessible/i,
    code: 'location-reconnect-required',
    detail: 'The token has no access to this location'
  },
  {
    status: 401,
    pattern: /jwt|token|expired/i,
    code: 'location-reconnect-required',
    detail: 'HighLevel no longer accepts the token of this location',
    tokenFault: true
  },
  {
    status: 401,
    code: 'upstream-contract-changed',
    detail: 'HighLevel refused the call for a reason unknown to this gateway',
    tokenFault: true
  },
  {
    status: 403,
    pattern: /does not have access to this location/i,
    code: 'location-reconnect-required',
    detail: 'The app is no longer installed in this location'
  },
  {
    status: 403,
    code: 'upstream-contract-changed',
    detail: 'HighLevel forbade the call for a reason unknown to this gateway'
  },
  { status: 404, pattern: /^Cannot [A-Z]+ \//, code: 'upstream-contract-changed', detail: VERSION },
  {
    status: 404,
    pattern: /^(?:location|sub-?account)\b.*not found/i,
    code: 'location-reconnect-required',
    detail: 'HighLevel has no such location'
  },
  {
    status: 404,
    kinds: ['write'],
    pattern: /^users?\b.*not found/i,
    code: 'upstream-rejected',
    detail: 'HighLevel has no such user: see upstream.message'
  },
  { status: MISSING, kinds: ['write', 'read-record'], pattern: NO_RECORD, code: 'record-not-found', detail: RECORD },
  { status: MISSING, pattern: NO_OBJECT, code: 'object-not-found', detail: OBJECT },
  { status: 404, pattern: /object .*not found/i, code: 'object-not-found', detail: OBJECT },
  { status: 404, kinds: ['read-object'], code: 'object-not-found', detail: OBJECT },
  { status: 404, code: 'record-not-found', detail: RECORD },
  { status: REFUSED, kinds: ['read-object'], pattern: NO_SUCH, code: 'object-not-found', detail: OBJECT },
  { status: REFUSED, kinds: ['read-record'], pattern: NO_SUCH, code: 'record-not-found', detail: RECORD },
  { status: 408, code: 'upstream-failed', detail: 'A proxy in front of HighLevel timed out' },
  { status: 499, code: 'upstream-failed', detail: 'A proxy in front of HighLevel timed out' },
  {
    status: '3xx',
    code: 'upstream-contract-changed',
    detail: 'HighLevel answered with a redirect, which is not followed'
  },
  // A read contains no values that a caller could correct.
  {
    status: '4xx',
    kinds: READS,
    code: 'upstream-contract-changed',
    detail: 'HighLevel refused the read: see upstream.message'
  },
  { status: REFUSED, code: 'upstream-rejected', detail: 'HighLevel refused the values: see upstream.message' },
  {
    status: '4xx',
    code: 'upstream-rejected',
    detail: 'HighLevel refused the write for a reason unknown to this gateway: see upstream.message'
  },
  { status: '5xx', code: 'upstream-failed', detail: 'HighLevel answered with a server error' }
]

const hasStatus = (rule: Rule['status'], status: number): boolean => {
  if (typeof rule === 'number') return rule === status
  return typeof rule === 'string' ? rule[0] === String(status)[0] : rule.includes(status)
}

const matches = (rule: Rule, kind: CallKind, status: number, text: string) =>
  hasStatus(rule.status, status) &&
  (rule.kinds === undefined || rule.kinds.includes(kind)) &&
  (rule.pattern === undefined || rule.pattern.test(text))

/** `undefined` only for a status outside 3xx to 5xx. */
export const ruleFor = (kind: CallKind, status: number, { message, errorCode }: UpstreamError): Rule | undefined => {
  const text = `${message ?? ''} ${errorCode ?? ''}`.trim()
  return rules.find((rule) => matches(rule, kind, status, text))
}
