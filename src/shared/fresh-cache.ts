import { createSingleFlight } from './single-flight.ts'

interface Options<Value> {
  /** Reads the source of truth; `undefined` where it has nothing, which is not remembered. */
  load: (key: string) => Promise<Value | undefined>
  /** An entry older than this is read again before it is used. */
  maxAgeMs: number
  maxEntries: number
  now: () => number
  /** The source could not be read again: the entry that is held stays in use. */
  onStale: (error: unknown) => void
}

/**
 * A bounded cache that is never older than `maxAgeMs` while its source can be read, and outlives the source while it
 * cannot. A fresh entry comes back without a promise. Rejects with the error of `load` where nothing is held.
 */
export function createFreshCache<Value>({ load, maxAgeMs, maxEntries, now, onStale }: Options<Value>) {
  const entries = new Map<string, { value: Value; readAt: number }>()
  const fly = createSingleFlight<Value | undefined>()

  const put = (key: string, value: Value) => {
    // Taken out first, so that the map keeps its keys in order of reading: the first one is the longest unused, since
    // a key in use is read again every maxAgeMs.
    entries.delete(key)
    entries.set(key, { value, readAt: now() })
    if (entries.size > maxEntries) for (const oldest of entries.keys()) return void entries.delete(oldest)
  }

  const read = async (key: string) => {
    const held = entries.get(key)
    try {
      const value = await load(key)
      // What was put while the source was being read is newer than what was read.
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

  return {
    get(key: string): Value | Promise<Value | undefined> {
      const held = entries.get(key)
      return held !== undefined && now() - held.readAt < maxAgeMs ? held.value : fly(key, () => read(key))
    },
    put,
    drop: (key: string) => void entries.delete(key)
  }
}
