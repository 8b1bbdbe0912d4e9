import { createSingleFlight } from './single-flight.ts'

interface Options {
  /** An entry older than this is read again before it is used. */
  maxAgeMs: number
  maxEntries: number
  now: () => number
  /** The source could not be read again: the entry that is held stays in use. */
  onStale: (error: unknown) => void
}

/** A source that takes longer to be read again is not waited for: the entry that is held stays in use meanwhile. */
const PATIENCE_MS = 250

/**
 * A bounded cache that is never older than `maxAgeMs` while its source can be read, and outlives the source while it
 * cannot. That the source has nothing is not remembered.
 */
export function createFreshCache<Value>({ maxAgeMs, maxEntries, now, onStale }: Options) {
  const entries = new Map<string, { value: Value; readAt: number }>()
  /** The keys being read; a `put` or `drop` meanwhile is newer than what the read brings. */
  const reads = new Map<string, { overtaken: boolean }>()
  const fly = createSingleFlight<Value | undefined>()

  const overtake = (key: string) => {
    const read = reads.get(key)
    if (read) read.overtaken = true
  }

  const keep = (key: string, value: Value) => {
    // Taken out first, so that the map keeps its keys in order of reading: the first one is the longest unused, since
    // a key in use is read again every maxAgeMs.
    entries.delete(key)
    entries.set(key, { value, readAt: now() })
    if (entries.size > maxEntries) for (const oldest of entries.keys()) return void entries.delete(oldest)
  }

  const read = async (key: string, load: () => Promise<Value | undefined>): Promise<Value | undefined> => {
    const held = entries.get(key)
    const mine = { overtaken: false }
    reads.set(key, mine)
    try {
      const value = await load()
      if (mine.overtaken) return entries.get(key)?.value ?? (await read(key, load))
      if (value === undefined) entries.delete(key)
      else keep(key, value)
      return value
    } catch (error) {
      const kept = mine.overtaken ? entries.get(key) : held
      if (kept === undefined) throw error
      if (kept === held) kept.readAt = now()
      onStale(error)
      return kept.value
    } finally {
      reads.delete(key)
    }
  }

  /** The outcome of reading again, or what is held where that takes too long. */
  const orHeld = async (key: string, reading: Promise<Value | undefined>): Promise<Value | undefined> => {
    const held = entries.get(key)
    if (held === undefined) return reading
    const { promise: impatience, resolve } = Promise.withResolvers<Value>()
    const timer = setTimeout(() => {
      held.readAt = now()
      resolve(entries.get(key)?.value ?? held.value)
    }, PATIENCE_MS)
    return Promise.race([reading, impatience]).finally(() => clearTimeout(timer))
  }

  const peek = (key: string): Value | undefined => {
    const held = entries.get(key)
    const ageMs = held === undefined ? -1 : now() - held.readAt
    // A clock that was set back makes no entry young.
    return ageMs >= 0 && ageMs < maxAgeMs ? held?.value : undefined
  }

  return {
    /** What is held and fresh, at once. */
    peek,

    /** What is held and fresh without a promise, else what `load` reads; rejects with its error where nothing is held. */
    get: (key: string, load: () => Promise<Value | undefined>): Value | Promise<Value | undefined> =>
      peek(key) ??
      orHeld(
        key,
        fly(key, () => read(key, load))
      ),

    put(key: string, value: Value): void {
      overtake(key)
      keep(key, value)
    },

    drop(key: string): void {
      overtake(key)
      entries.delete(key)
    }
  }
}
