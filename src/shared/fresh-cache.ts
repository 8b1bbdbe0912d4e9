import type { Clock } from './clock.ts'
import { createSingleFlight } from './single-flight.ts'

interface Options {
  /** An older entry is reloaded before it is used. */
  maxAgeMs: number
  maxEntries: number
  clock: Clock
  /** Called when a reload failed and the cached entry stays in use. */
  onStale: (error: unknown) => void
}

/** The longest wait for a reload. After that the cached entry is used, and the reload continues. */
const MAX_WAIT_MS = 250

/**
 * A bounded cache. Entries are at most `maxAgeMs` old while their source can be read; while it cannot, older entries
 * stay in use. A missing value is not cached.
 */
export function createFreshCache<Value>({ maxAgeMs, maxEntries, clock, onStale }: Options) {
  const entries = new Map<string, { value: Value; readAt: number }>()
  /** The keys being read. A `put` or `drop` during the read is newer than the value that it returns. */
  const reads = new Map<string, { isOutdated: boolean }>()
  const singleFlight = createSingleFlight<Value | undefined>()

  const markReadOutdated = (key: string) => {
    const read = reads.get(key)
    if (read) read.isOutdated = true
  }

  const store = (key: string, value: Value) => {
    // Deleted first, so that the map keeps its keys in the order in which they were read. The first one is then the
    // least recently used, since a key in use is reloaded every maxAgeMs.
    entries.delete(key)
    entries.set(key, { value, readAt: clock.now() })
    if (entries.size > maxEntries) for (const oldest of entries.keys()) return void entries.delete(oldest)
  }

  const read = async (key: string, load: () => Promise<Value | undefined>): Promise<Value | undefined> => {
    const cached = entries.get(key)
    const ownRead = { isOutdated: false }
    reads.set(key, ownRead)
    try {
      const value = await load()
      if (ownRead.isOutdated) return entries.get(key)?.value ?? (await read(key, load))
      if (value === undefined) entries.delete(key)
      else store(key, value)
      return value
    } catch (error) {
      const kept = ownRead.isOutdated ? entries.get(key) : cached
      if (kept === undefined) throw error
      if (kept === cached) kept.readAt = clock.now()
      onStale(error)
      return kept.value
    } finally {
      reads.delete(key)
    }
  }

  /** The reloaded value, or the cached one if the reload takes too long. */
  const orStale = async (key: string, reading: Promise<Value | undefined>): Promise<Value | undefined> => {
    const cached = entries.get(key)
    if (cached === undefined) return reading
    const { promise: timedOut, resolve } = Promise.withResolvers<Value>()
    const timer = clock.after(MAX_WAIT_MS, () => {
      cached.readAt = clock.now()
      resolve(entries.get(key)?.value ?? cached.value)
    })
    return Promise.race([reading, timedOut]).finally(() => clock.cancel(timer))
  }

  const peek = (key: string): Value | undefined => {
    const cached = entries.get(key)
    const ageMs = cached === undefined ? -1 : clock.now() - cached.readAt
    // If the clock was set back, the age is negative and the entry does not count as fresh.
    return ageMs >= 0 && ageMs < maxAgeMs ? cached?.value : undefined
  }

  return {
    /** The cached value, if it is fresh. */
    peek,

    /**
     * The cached value if it is fresh, without a promise; otherwise the loaded one. Rejects if that fails and none is
     * cached.
     */
    get: (key: string, load: () => Promise<Value | undefined>): Value | Promise<Value | undefined> =>
      peek(key) ??
      orStale(
        key,
        singleFlight(key, () => read(key, load))
      ),

    put(key: string, value: Value): void {
      markReadOutdated(key)
      store(key, value)
    },

    drop(key: string): void {
      markReadOutdated(key)
      entries.delete(key)
    }
  }
}
