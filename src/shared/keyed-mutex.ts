/** A mutex per key, granted in order of arrival. */
export function createKeyedMutex() {
  /** The waiters of each acquired key. `undefined` while nobody waits, which is the usual case. */
  const queues = new Map<string, (() => void)[] | undefined>()

  return {
    /** Acquires the key if it is free. Whoever has acquired a key must `release` it. */
    tryAcquire(key: string): boolean {
      if (queues.has(key)) return false
      queues.set(key, undefined)
      return true
    },

    /** How many are waiting for the key. */
    waitingCount: (key: string): number => queues.get(key)?.length ?? 0,

    /**
     * Calls back once the key is acquired. Returns a function that leaves the queue: `false` if it is too late for
     * that.
     */
    enqueue(key: string, onAcquired: () => void): () => boolean {
      const queue = queues.get(key) ?? []
      queues.set(key, queue)
      queue.push(onAcquired)
      return () => {
        const index = queue.indexOf(onAcquired)
        if (index !== -1) queue.splice(index, 1)
        return index !== -1
      }
    },

    release(key: string): void {
      const next = queues.get(key)?.shift()
      if (next === undefined) queues.delete(key)
      else next()
    }
  }
}
