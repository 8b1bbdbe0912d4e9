/** One that waits. */
export interface Queued {
  /** Whose turn it is when its turn comes. */
  callerId: string
}

/**
 * Those who wait for one location: each caller's in order of arrival, callers in turn, so that who asks for little never
 * waits behind who asks for much.
 */
export function createFairQueue<E extends Queued>() {
  /** The first caller is the next to be served. */
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

    /** Ahead of everyone. */
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
        // To the end of the turn, if it has more.
        queues.delete(callerId)
        if (queue.length > 0) queues.set(callerId, queue)
        size -= 1
        return entry
      }
      return undefined
    },

    remove,

    /** How many are served before one that this caller adds now. */
    ahead(callerId: string): number {
      const own = queues.get(callerId)?.length ?? 0
      let count = own
      for (const [id, queue] of queues) if (id !== callerId) count += Math.min(queue.length, own + 1)
      return count
    },

    /** Takes out the newest entry of the caller that has the most, where that is more than this caller would have. */
    makeRoom(callerId: string): E | undefined {
      const most = longest()
      const own = queues.get(callerId)?.length ?? 0
      const newest = most.at(-1)
      if (newest === undefined || most.length <= own + 1) return undefined
      remove(newest)
      return newest
    },

    /** Everyone, in no order; the line is empty afterwards. */
    clear(): E[] {
      const all = [...queues.values()].flat()
      queues.clear()
      size = 0
      return all
    }
  }
}

export type FairQueue<E extends Queued> = ReturnType<typeof createFairQueue<E>>
