/** One that waits. */
export interface Queued {
  callerId: string
}

/**
 * The calls that wait for one location. Callers are served round-robin and each caller's calls in order of arrival, so
 * a caller with few calls never waits behind all calls of a busy one.
 */
export function createFairQueue<E extends Queued>() {
  /** By caller. The first caller is served next. */
  const queues = new Map<string, E[]>()
  let size = 0

  const longest = (): E[] => {
    let found: E[] = []
    for (const queue of queues.values()) if (queue.length > found.length) found = queue
    return found
  }

  const remove = (entry: E): void => {
    const queue = queues.get(entry.callerId)
    const at = queue?.indexOf(entry) ?? -1
    if (queue === undefined || at === -1) return
    queue.splice(at, 1)
    size -= 1
    if (queue.length === 0) queues.delete(entry.callerId)
  }

  return {
    get size(): number {
      return size
    },

    push(entry: E): void {
      const queue = queues.get(entry.callerId)
      if (queue) queue.push(entry)
      else queues.set(entry.callerId, [entry])
      size += 1
    },

    /** Adds an entry at the head of the whole queue. */
    unshift(entry: E): void {
      const others = [...queues]
      const own = queues.get(entry.callerId) ?? []
      queues.clear()
      queues.set(entry.callerId, [entry, ...own])
      for (const [callerId, queue] of others) if (queue !== own) queues.set(callerId, queue)
      size += 1
    },

    shift(): E | undefined {
      for (const [callerId, queue] of queues) {
        const entry = queue.shift()
        // A caller with more entries goes to the end of the round.
        queues.delete(callerId)
        if (queue.length > 0) queues.set(callerId, queue)
        size -= 1
        return entry
      }
      return undefined
    },

    remove,

    /** How many entries would be served before a new one of this caller. */
    ahead(callerId: string): number {
      const own = queues.get(callerId)?.length ?? 0
      let count = own
      for (const [id, queue] of queues) if (id !== callerId) count += Math.min(queue.length, own + 1)
      return count
    },

    /** Removes the newest entry of the caller with the most, if that is more than this caller would have. */
    makeRoom(callerId: string): E | undefined {
      const most = longest()
      const own = queues.get(callerId)?.length ?? 0
      const newest = most.at(-1)
      if (newest === undefined || most.length <= own + 1) return undefined
      remove(newest)
      return newest
    },

    /** Removes and returns all entries, in no particular order. */
    clear(): E[] {
      const all = [...queues.values()].flat()
      queues.clear()
      size = 0
      return all
    }
  }
}

export type FairQueue<E extends Queued> = ReturnType<typeof createFairQueue<E>>
