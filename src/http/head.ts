import type { IncomingMessage } from 'node:http'
import { Problem } from '../problems.ts'

/** Of these Node takes the first and drops others: what stands before the gateway may have gone by another one. */
const SINGLE: readonly string[] = ['host', 'authorization', 'content-type']
const singleOf = (name: string): string | undefined =>
  SINGLE.find((single) => single.length === name.length && single === name.toLowerCase())

/** RFC 9110, 7.2: a name or an address, a port where there is one, and nothing else. */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?$/
/** Most calls have the same: the last one that was seen to be good. */
let goodHost = ''

const isHost = (host: string): boolean => {
  if (host === goodHost) return true
  if (!HOST.test(host)) return false
  goodHost = host
  return true
}

const refuse = (detail: string) => new Problem('invalid-request', detail)

/**
 * What is wrong with the head of a request that Node's parser lets pass, or `undefined`. On the path of every call: it
 * looks at the names as they came, and keeps nothing.
 */
export function headFault({ rawHeaders, headers, httpVersionMinor }: IncomingMessage): Problem | undefined {
  let seen = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = singleOf(rawHeaders[i] ?? '')
    if (name === undefined) continue
    const bit = 1 << SINGLE.indexOf(name)
    if ((seen & bit) !== 0) return refuse(`The request has more than one ${name} field`)
    seen |= bit
  }
  const { host, 'transfer-encoding': coding } = headers
  if (host === undefined ? httpVersionMinor !== 0 : !isHost(host)) return refuse('The request has no valid Host field')
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return refuse('The only Transfer-Encoding that this gateway takes is chunked')
  return undefined
}
