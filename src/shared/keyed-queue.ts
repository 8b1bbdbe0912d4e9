/** Runs the tasks of one key one after another, in the order in which they came. Keys do not wait for each other. */
export function createKeyedQueue() {
  const tails = new Map<string, Promise<unknown>>()

  function enqueue<Value>(key: string, task: () => Promise<Value>): Promise<Value> {
    const running = (tails.get(key) ?? Promise.resolve()).then(task, task)
    // Kept as a promise that never rejects: the outcome belongs to whoever asked.
    const tail = running.then(done, done)
    tails.set(key, tail)
    return running

    function done() {
      if (tails.get(key) === tail) tails.delete(key)
    }
  }

  /** Resolves when nothing is queued any more. */
  async function settled(): Promise<void> {
    while (tails.size > 0) await Promise.all(tails.values())
  }

  return Object.assign(enqueue, { settled })
}
