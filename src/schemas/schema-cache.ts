import type { ObjectSchema } from './object-schema.ts'
import { type CachedSchema, createSchemaStore } from './schema-store.ts'
import { isLasting, type UnavailableReason } from './schema-unavailable.ts'

/** A copy that is older is read again while it stays in use. */
const FRESH_MS = 5 * 60_000
/** A copy that is older is not used. */
const USABLE_MS = 60 * 60_000
/** After it was read anew for a doubt, no other doubt of it is followed for so long. */
const SETTLED_MS = 5_000
/** What cannot be had is not asked for again for so long: trouble, which passes, and a scope, which lasts. */
const RETRY_MS = 2_000
const REFUSED_MS = 5 * 60_000

const isUsable = ({ readAt, usableUntil }: CachedSchema, at: number) =>
  // A clock that was set back makes nothing young.
  at >= readAt && at < usableUntil

/** What is known of objects, and for how long. */
export function createSchemaCache(maxChars: number, now: () => number) {
  const store = createSchemaStore(maxChars)

  /** What may still be used. */
  const held = (key: string): CachedSchema | undefined => {
    const entry = store.get(key)
    return entry !== undefined && isUsable(entry, now()) ? entry : undefined
  }

  return {
    held,

    /** `isDoubted` where it was read since somebody spoke against the one before. */
    keep(key: string, schema: ObjectSchema, isDoubted: boolean): void {
      const at = now()
      const until = { freshUntil: at + FRESH_MS, usableUntil: at + USABLE_MS }
      store.set(key, { schema, why: undefined, readAt: at, ...until, settledUntil: isDoubted ? at + SETTLED_MS : 0 })
    },

    /** It could not be read. A copy outlives that, but for an object that is gone. */
    fail(key: string, why: UnavailableReason): void {
      const at = now()
      const retryAt = at + (isLasting(why) ? REFUSED_MS : RETRY_MS)
      const entry = held(key)
      if (entry?.schema !== undefined && why !== 'object') {
        store.set(key, { ...entry, freshUntil: retryAt, settledUntil: retryAt })
      } else {
        const until = { freshUntil: retryAt, usableUntil: retryAt, settledUntil: retryAt }
        store.set(key, { schema: undefined, why, readAt: at, ...until })
      }
    },

    drop: store.removeAll
  }
}
