import { randomBytes, randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

const ID = /^[A-Za-z0-9._:-]{8,128}$/
/** W3C Trace Context, version 00; ids of zeros alone are invalid. */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** The caller's `X-Request-Id` if it is well formed, else a new one. */
export function requestId(request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && ID.test(given) ? given : randomUUID()
}

/** The caller's `traceparent` if it is well formed, else a new one that nobody samples. */
export function traceparent(request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers['traceparent']
  return typeof given === 'string' && TRACEPARENT.test(given) ? given : fresh()
}

const POOL_BYTES = 24 * 128
let pool = Buffer.alloc(0)
let used = POOL_BYTES

/** Random bytes are drawn for many ids at once: each draw is a call into the system's generator. */
function fresh(): string {
  if (used >= POOL_BYTES) {
    pool = randomBytes(POOL_BYTES)
    used = 0
  }
  const hex = pool.toString('hex', used, used + 24)
  used += 24
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-00`
}
