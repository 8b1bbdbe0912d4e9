/** Lets those who share a key have their turn one after another, in order of arrival. */
export function createKeyedMutex() {
  /** Whoever waits for the key, while somebody has it; most often nobody does. */
  const queues = new Map<string, (() => void)[] | undefined>()

  return {
    /** Takes the turn where nobody has it. Whoever has had a turn must `pass` it on. */
    take(key: string): boolean {
      if (queues.has(key)) return false
      queues.set(key, undefined)
      return true
    },

    /** How many wait for the key. */
    waiting: (key: string): number => queues.get(key)?.length ?? 0,

    /** Calls back when the turn has come. Returns what leaves the queue: false where the turn has come already. */
    wait(key: string, onTurn: () => void): () => boolean {
      const queue = queues.get(key) ?? []
      queues.set(key, queue)
      queue.push(onTurn)
      return () => {
        const at = queue.indexOf(onTurn)
        if (at !== -1) queue.splice(at, 1)
        return at !== -1
      }
    },

    pass(key: string): void {
      const next = queues.get(key)?.shift()
      if (next === undefined) queues.delete(key)
      else next()
    }
  }
}
