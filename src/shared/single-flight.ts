/** Runs one task per key at a time. Calls during a run share its result; the first call after it starts a new run. */
export function createSingleFlight<Value>() {
  const running = new Map<string, Promise<Value>>()

  function singleFlight(key: string, task: () => Promise<Value>): Promise<Value> {
    const current = running.get(key)
    if (current) return current

    const run = task().finally(() => running.delete(key))
    running.set(key, run)
    return run
  }

  /** Resolves when no task is running, whether they succeed or fail. */
  async function settled(): Promise<void> {
    while (running.size > 0) await Promise.allSettled(running.values())
  }

  return Object.assign(singleFlight, { settled })
}
