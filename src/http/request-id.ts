import { randomBytes, randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/
/** W3C Trace Context, version 00. All-zero ids are invalid. */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/
/** A later version may have more fields; `ff` is not a version. Only its lowest flag is known to keep its meaning. */
const LATER_TRACEPARENT =
  /^(?!00|ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-[0-9a-f]([0-9a-f])(?:-.*)?$/

/** The caller's `X-Request-Id` if it has 1 to 128 letters, digits, `.`, `_`, `:` or `-`; otherwise a new id. */
export function requestId(request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID()
}

/** The caller's `traceparent`, if valid; a later version is converted to 00. Otherwise a new, unsampled one. */
export function traceparent(request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers['traceparent']
  if (typeof given !== 'string') return newTraceparent()
  if (TRACEPARENT.test(given)) return given
  const [, ids, flags = '0'] = LATER_TRACEPARENT.exec(given) ?? []
  return ids === undefined ? newTraceparent() : `00-${ids}-0${Number.parseInt(flags, 16) & 1}`
}

const POOL_BYTES = 24 * 128
let pool = Buffer.alloc(0)
let used = POOL_BYTES

/** Draws random bytes for many ids at once: each draw is a system call. */
function newTraceparent(): string {
  if (used >= POOL_BYTES) {
    pool = randomBytes(POOL_BYTES)
    used = 0
  }
  const hex = pool.toString('hex', used, used + 24)
  used += 24
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-00`
}
