import type { IncomingMessage } from 'node:http'
import { Problem } from '../../problems/problem.ts'

/**
 * Whether a field that stands once in a head was sent twice: what stands before the gateway may have gone by another one
 * than the gateway would. The server joins them (`joinDuplicateHeaders`), so the names are gone through only where a
 * comma shows.
 */
const isDoubled = (name: string, value: string | undefined, rawHeaders: readonly string[]): boolean =>
  value?.includes(', ') === true &&
  rawHeaders.filter((raw, index) => index % 2 === 0 && raw.toLowerCase() === name).length > 1

/** RFC 9110, 7.2: a name or an address, a port where there is one, and nothing else. Two that were joined hold a blank. */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?$/
/** Most calls have the same: the last one that was seen to be good. */
let goodHost = ''

const isHost = (host: string): boolean => {
  if (host === goodHost) return true
  if (!HOST.test(host)) return false
  goodHost = host
  return true
}

const CONTINUE = /^100-continue$/i

const refuse = (detail: string) => new Problem('invalid-request', detail)

/**
 * What is wrong with the head of a request that Node's parser lets pass, or `undefined`. On the path of every call: it
 * makes nothing.
 */
export function headProblem({ rawHeaders, headers, httpVersionMinor }: IncomingMessage): Problem | undefined {
  const { host, authorization, 'content-type': type, 'transfer-encoding': coding, expect } = headers
  if (host === undefined ? httpVersionMinor !== 0 : !isHost(host))
    return refuse('The request does not have exactly one valid Host field')
  if (isDoubled('authorization', authorization, rawHeaders)) return refuse('The request has two Authorization fields')
  if (isDoubled('content-type', type, rawHeaders)) return refuse('The request has two Content-Type fields')
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return refuse('The only Transfer-Encoding that this gateway takes is chunked')
  if (expect !== undefined && httpVersionMinor !== 0 && !CONTINUE.test(expect))
    return new Problem('expectation-failed', 'The only expectation that this gateway meets is 100-continue')
  return undefined
}
