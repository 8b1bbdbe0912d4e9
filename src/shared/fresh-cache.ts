import { createSingleFlight } from './single-flight.ts'

interface Options {
  /** An entry older than this is read again before it is used. */
  maxAgeMs: number
  maxEntries: number
  now: () => number
  /** The source could not be read again: the entry that is held stays in use. */
  onStale: (error: unknown) => void
}

/**
 * A bounded cache that is never older than `maxAgeMs` while its source can be read, and outlives the source while it
 * cannot. That the source has nothing is not remembered.
 */
export function createFreshCache<Value>({ maxAgeMs, maxEntries, now, onStale }: Options) {
  const entries = new Map<string, { value: Value; readAt: number }>()
  const fly = createSingleFlight<Value | undefined>()

  const put = (key: string, value: Value) => {
    // Taken out first, so that the map keeps its keys in order of reading: the first one is the longest unused, since
    // a key in use is read again every maxAgeMs.
    entries.delete(key)
    entries.set(key, { value, readAt: now() })
    if (entries.size > maxEntries) for (const oldest of entries.keys()) return void entries.delete(oldest)
  }

  const read = async (key: string, load: () => Promise<Value | undefined>) => {
    const held = entries.get(key)
    try {
      const value = await load()
      // What was put or dropped while the source was being read is newer than what was read.
      if (entries.get(key) !== held) return entries.get(key)?.value
      if (value === undefined) entries.delete(key)
      else put(key, value)
      return value
    } catch (error) {
      if (held === undefined) throw error
      held.readAt = now()
      onStale(error)
      return held.value
    }
  }

  const peek = (key: string): Value | undefined => {
    const held = entries.get(key)
    return held !== undefined && now() - held.readAt < maxAgeMs ? held.value : undefined
  }

  return {
    /** What is held and fresh, at once. */
    peek,

    /** What is held and fresh without a promise, else what `load` reads; rejects with its error where nothing is held. */
    get: (key: string, load: () => Promise<Value | undefined>): Value | Promise<Value | undefined> =>
      peek(key) ?? fly(key, () => read(key, load)),

    /** Whether an entry is held, however old. */
    has: (key: string) => entries.has(key),
    put,
    drop: (key: string) => void entries.delete(key)
  }
}
