import type { Clock } from '../shared/clock.ts'
import type { ObjectSchema } from './object-schema.ts'
import { isLasting, type UnavailableReason } from './schema-unavailable.ts'

/** After this, a cached schema is fetched again as soon as it is used. Calls use the cached one meanwhile. */
const FRESH_MS = 5 * 60_000
/** After this, a cached schema is not used any more. */
const USABLE_MS = 60 * 60_000
/** After a recheck, further rechecks of the schema are skipped for this long. */
const RECHECK_EVERY_MS = 5_000
/** When a fetch fails, the next one waits for this long: short for failures that pass, long for those that last. */
const RETRY_MS = 2_000
const LASTING_RETRY_MS = 5 * 60_000

/** The schema of a location's object, or why there is none. Times are epoch milliseconds. */
export interface CachedSchema {
  /** `undefined` where the schema is unavailable; `why` says the reason. */
  schema: ObjectSchema | undefined
  why: UnavailableReason | undefined
  fetchedAt: number
  /** Use after this time triggers a new fetch. */
  freshUntil: number
  usableUntil: number
  /** Rechecks before this time are skipped. */
  nextRecheckAt: number
}

/** What an entry costs besides its schema, in characters. */
const ENTRY_CHARS = 200

/**
 * A bounded map. When it is full, the entries that were set longest ago are dropped first. Many locations have
 * identical objects, made from one snapshot, so schemas of equal content are stored once.
 *
 * `maxChars` counts characters of what HighLevel sent. Each takes slightly more than two bytes of memory.
 */
export function createSchemaStore(maxChars: number) {
  const entries = new Map<string, CachedSchema>()
  const byDigest = new Map<string, { schema: ObjectSchema; uses: number }>()
  let chars = 0

  const release = (schema: ObjectSchema | undefined) => {
    const shared = schema && byDigest.get(schema.digest)
    if (shared === undefined) return
    shared.uses -= 1
    if (shared.uses > 0) return
    byDigest.delete(shared.schema.digest)
    chars -= shared.schema.chars
  }

  const share = (schema: ObjectSchema): ObjectSchema => {
    const shared = byDigest.get(schema.digest) ?? { schema, uses: 0 }
    if (shared.uses === 0) {
      byDigest.set(schema.digest, shared)
      chars += schema.chars
    }
    shared.uses += 1
    return shared.schema
  }

  const remove = (key: string) => {
    const entry = entries.get(key)
    if (entry === undefined) return
    entries.delete(key)
    chars -= ENTRY_CHARS
    release(entry.schema)
  }

  return {
    get: (key: string): CachedSchema | undefined => entries.get(key),

    set(key: string, entry: CachedSchema): void {
      const schema = entry.schema && share(entry.schema)
      // Remove first: a map keeps its keys in insertion order, and the oldest are dropped below.
      remove(key)
      entries.set(key, { ...entry, schema })
      chars += ENTRY_CHARS
      for (const oldest of entries.keys()) {
        if (chars <= maxChars || oldest === key) break
        remove(oldest)
      }
    },

    removeAll(prefix: string): void {
      for (const key of entries.keys()) if (key.startsWith(prefix)) remove(key)
    },

    /** For tests that measure the bound. */
    size: () => ({ entries: entries.size, schemas: byDigest.size, chars })
  }
}

const isUsable = ({ fetchedAt, usableUntil }: CachedSchema, at: number) =>
  // A clock that was set back must not make an entry look young.
  at >= fetchedAt && at < usableUntil

/** The schemas of locations' objects, or why they are unavailable, and for how long each entry holds. */
export function createSchemaCache(maxChars: number, clock: Pick<Clock, 'now'>) {
  const store = createSchemaStore(maxChars)

  /** The entry, if it may still be used. */
  const get = (key: string): CachedSchema | undefined => {
    const entry = store.get(key)
    return entry !== undefined && isUsable(entry, clock.now()) ? entry : undefined
  }

  return {
    get,

    /** Stores a fetched schema. `isRecheck`: it was fetched because the entry before was in doubt. */
    put(key: string, schema: ObjectSchema, isRecheck: boolean): void {
      const at = clock.now()
      const nextRecheckAt = isRecheck ? at + RECHECK_EVERY_MS : 0
      const until = { freshUntil: at + FRESH_MS, usableUntil: at + USABLE_MS }
      store.set(key, { schema, why: undefined, fetchedAt: at, ...until, nextRecheckAt })
    },

    /** Records a failed fetch. A cached schema stays in use, unless the object no longer exists. */
    putFailure(key: string, why: UnavailableReason): void {
      const at = clock.now()
      const retryAt = at + (isLasting(why) ? LASTING_RETRY_MS : RETRY_MS)
      const entry = get(key)
      if (entry?.schema !== undefined && why !== 'object') {
        store.set(key, { ...entry, freshUntil: retryAt, nextRecheckAt: retryAt })
      } else {
        const until = { freshUntil: retryAt, usableUntil: retryAt, nextRecheckAt: retryAt }
        store.set(key, { schema: undefined, why, fetchedAt: at, ...until })
      }
    },

    removeAll: store.removeAll
  }
}
