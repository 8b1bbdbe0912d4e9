import type { ObjectSchema } from './object-schema.ts'

/** What is known of one location's object. Times are epoch milliseconds. */
export interface Entry<Why> {
  /** `undefined` where HighLevel did not give one. */
  schema: ObjectSchema | undefined
  why: Why | undefined
  readAt: number
  /** It is read again once it is used after that. */
  freshUntil: number
  usableUntil: number
  /** Doubts of it are not followed before that. */
  settledUntil: number
}

const weightOf = ({ fields }: ObjectSchema): number => {
  let weight = 1
  for (const { options } of fields.values()) weight += 1 + options.length
  return weight
}

/**
 * What is known, within a bound: of all entries those that were longest not read again go first. Many locations have the
 * same objects, as copies of one snapshot: a schema of the same content is kept once.
 *
 * `maxWeight` is the number of fields and options that are held.
 */
export function createSchemaStore<Why>(maxWeight: number) {
  const entries = new Map<string, Entry<Why>>()
  const shared = new Map<string, { schema: ObjectSchema; uses: number; weight: number }>()
  let weight = 0

  const release = (schema: ObjectSchema | undefined) => {
    const held = schema && shared.get(schema.digest)
    if (held === undefined) return
    held.uses -= 1
    if (held.uses > 0) return
    shared.delete(held.schema.digest)
    weight -= held.weight
  }

  const share = (schema: ObjectSchema): ObjectSchema => {
    const held = shared.get(schema.digest) ?? { schema, uses: 0, weight: weightOf(schema) }
    if (held.uses === 0) {
      shared.set(schema.digest, held)
      weight += held.weight
    }
    held.uses += 1
    return held.schema
  }

  const remove = (key: string) => {
    const entry = entries.get(key)
    if (entry === undefined) return
    entries.delete(key)
    weight -= 1
    release(entry.schema)
  }

  return {
    get: (key: string): Entry<Why> | undefined => entries.get(key),

    set(key: string, entry: Entry<Why>): void {
      const schema = entry.schema && share(entry.schema)
      // Taken out first: the map keeps its keys in the order in which they were set.
      remove(key)
      entries.set(key, { ...entry, schema })
      weight += 1
      for (const oldest of entries.keys()) {
        if (weight <= maxWeight || oldest === key) break
        remove(oldest)
      }
    },

    removeAll(prefix: string): void {
      for (const key of entries.keys()) if (key.startsWith(prefix)) remove(key)
    },

    /** For tests and whoever sets the bound. */
    size: () => ({ entries: entries.size, schemas: shared.size, weight })
  }
}
