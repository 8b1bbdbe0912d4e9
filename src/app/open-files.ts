import { readFileSync } from 'node:fs'

/** How many connections each use may hold at a time. */
export interface ConnectionShares {
  /** Accepted by the public listener. */
  accepted: number
  /** Accepted by the admin listener. */
  admin: number
  /** To HighLevel's API; twice as many for a moment, when one pool replaces another. */
  upstream: number
  /** To HighLevel's token endpoint. */
  oauth: number
}

/** For the database, Redis, JWKS, files, the runtime, and connections that are only told that there is no room. */
const OWN_FILES = 80
const ADMIN = 16
/** Far more than the locations that hang at a time can hold. */
const MAX_UPSTREAM = 1_024
const MAX_OAUTH = 256
/** With less than this the process is not of much use, and it could not start with much less. */
const LEAST_FILES = 128

/**
 * How many files this process may have open, sockets included; infinite where the system does not say. Node has raised
 * the limit to the hard one by the time it can be read.
 */
export function openFileLimit(path = '/proc/self/limits'): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync(path, 'latin1'))?.[1]
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/**
 * Shares out the files, so that no use can take what another needs: were connections accepted without a bound, idle ones
 * would leave none for those to HighLevel.
 */
export function shareOpenFiles(limit: number): ConnectionShares {
  const free = Math.max(limit, LEAST_FILES) - OWN_FILES - ADMIN
  const upstream = Math.min(MAX_UPSTREAM, Math.max(2, Math.floor(free / 5)))
  const oauth = Math.min(MAX_OAUTH, Math.max(2, Math.floor(free / 10)))
  return { accepted: free - 2 * upstream - oauth, admin: ADMIN, upstream, oauth }
}
