import { readFileSync } from 'node:fs'

/** How many connections each purpose may hold at a time. */
export interface ConnectionShares {
  /** Accepted by the public listener. */
  accepted: number
  /** Accepted by the admin listener. */
  admin: number
  /** To HighLevel's API. Twice as many are possible for a moment, while one pool replaces another. */
  upstream: number
  /** To HighLevel's token endpoint. */
  oauth: number
}

/** For the database, Redis, JWKS, files, the runtime, and connections that are accepted only to be rejected. */
const RESERVED_FILES = 80
const ADMIN_CONNECTIONS = 16
/** Far more than the locations whose calls hang at one time can occupy. */
const MAX_UPSTREAM = 1_024
const MAX_OAUTH = 256
/** A lower limit is treated as this one: with much fewer files the process could not even start. */
const MIN_FILES = 128

/**
 * How many files this process may have open, sockets included; infinite where the system does not say. Node raises its
 * soft limit to the hard limit at startup, so this reads the raised value.
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
 * Divides the open-file limit among the kinds of connections, so that none can use up what another needs. Without a
 * bound on accepted connections, idle clients would leave no file for connections to HighLevel.
 */
export function shareConnections(limit: number): ConnectionShares {
  const free = Math.max(limit, MIN_FILES) - RESERVED_FILES - ADMIN_CONNECTIONS
  const upstream = Math.min(MAX_UPSTREAM, Math.max(2, Math.floor(free / 5)))
  const oauth = Math.min(MAX_OAUTH, Math.max(2, Math.floor(free / 10)))
  return { accepted: free - 2 * upstream - oauth, admin: ADMIN_CONNECTIONS, upstream, oauth }
}
