import { randomBytes, randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

const ID = /^[A-Za-z0-9._:-]{1,128}$/
/** W3C Trace Context, version 00; ids of zeros alone are invalid. */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/
/** A later version may have more members; `ff` is none. Its first flag means the same, others may not. */
const LATER = /^(?!00|ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-[0-9a-f]([0-9a-f])(?:-.*)?$/

/** The caller's `X-Request-Id` if it is 1 to 128 letters, digits, `.`, `_`, `:` or `-`; else a new one. */
export function requestId(request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && ID.test(given) ? given : randomUUID()
}

/** The caller's `traceparent` if it is well formed, a later version read as version 00; else a new one that nobody samples. */
export function traceparent(request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers['traceparent']
  if (typeof given !== 'string') return fresh()
  if (TRACEPARENT.test(given)) return given
  const [, ids, flags = '0'] = LATER.exec(given) ?? []
  return ids === undefined ? fresh() : `00-${ids}-0${Number.parseInt(flags, 16) & 1}`
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
