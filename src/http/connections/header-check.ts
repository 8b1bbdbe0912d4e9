import type { IncomingMessage } from 'node:http'
import { Problem } from '../../problems/problem.ts'

/**
 * Whether a header that may occur only once was sent more than once: a proxy in front may have used another one of
 * them. Node joins repeated headers (`joinDuplicateHeaders`), so the raw names are searched only if the value has a
 * comma.
 */
const isRepeated = (name: string, value: string | undefined, rawHeaders: readonly string[]): boolean =>
  value?.includes(', ') === true &&
  rawHeaders.filter((raw, index) => index % 2 === 0 && raw.toLowerCase() === name).length > 1

/** RFC 9110, 7.2: a name or an address, and optionally a port. Two joined values contain a space and do not match. */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?$/
/** Almost all calls have the same Host, so the last valid one is remembered. */
let lastValidHost = ''

const isValidHost = (host: string): boolean => {
  if (host === lastValidHost) return true
  if (!HOST.test(host)) return false
  lastValidHost = host
  return true
}

const CONTINUE = /^100-continue$/i

const invalidRequest = (detail: string) => new Problem('invalid-request', detail)

/** Finds header errors that Node's parser accepts. Runs on every call: it allocates nothing for a valid request. */
export function findHeaderProblem({ rawHeaders, headers, httpVersionMinor }: IncomingMessage): Problem | undefined {
  const { host, authorization, 'content-type': type, 'transfer-encoding': coding, expect } = headers
  if (host === undefined ? httpVersionMinor !== 0 : !isValidHost(host))
    return invalidRequest('The request must have exactly one valid Host header')
  if (isRepeated('authorization', authorization, rawHeaders))
    return invalidRequest('The request has more than one Authorization header')
  if (isRepeated('content-type', type, rawHeaders))
    return invalidRequest('The request has more than one Content-Type header')
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return invalidRequest('The only supported Transfer-Encoding is chunked')
  if (expect !== undefined && httpVersionMinor !== 0 && !CONTINUE.test(expect))
    return new Problem('expectation-failed', 'The only supported expectation is 100-continue')
  return undefined
}
