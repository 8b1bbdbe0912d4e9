import type { ObjectSchema } from './object-schema.ts'
import type { UnavailableReason } from './schema-unavailable.ts'

/** What is known of one location's object. Times are epoch milliseconds. */
export interface CachedSchema {
  /** `undefined` where HighLevel did not give one. */
  schema: ObjectSchema | undefined
  why: UnavailableReason | undefined
  readAt: number
  /** It is read again once it is used after that. */
  freshUntil: number
  usableUntil: number
  /** Doubts of it are not followed before that. */
  settledUntil: number
}

/** What an entry takes by itself, in characters of a schema. */
const ENTRY_CHARS = 200

/**
 * What is known, within a bound: of all entries those that were longest not read again go first. Many locations have the
 * same objects, as copies of one snapshot: a schema of the same content is kept once.
 *
 * `maxChars` is of what HighLevel sent of them; in memory each takes a little more than two bytes.
 */
export function createSchemaStore(maxChars: number) {
  const entries = new Map<string, CachedSchema>()
  const shared = new Map<string, { schema: ObjectSchema; uses: number }>()
  let chars = 0

  const release = (schema: ObjectSchema | undefined) => {
    const held = schema && shared.get(schema.digest)
    if (held === undefined) return
    held.uses -= 1
    if (held.uses > 0) return
    shared.delete(held.schema.digest)
    chars -= held.schema.chars
  }

  const share = (schema: ObjectSchema): ObjectSchema => {
    const held = shared.get(schema.digest) ?? { schema, uses: 0 }
    if (held.uses === 0) {
      shared.set(schema.digest, held)
      chars += schema.chars
    }
    held.uses += 1
    return held.schema
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
      // Taken out first: the map keeps its keys in the order in which they were set.
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

    /** For whoever sets the bound. */
    size: () => ({ entries: entries.size, schemas: shared.size, chars })
  }
}
