/** Runs one task a key at a time: who asks while it runs shares its outcome. The next to ask after it starts anew. */
export function createSingleFlight<Value>() {
  const flights = new Map<string, Promise<Value>>()

  function fly(key: string, task: () => Promise<Value>): Promise<Value> {
    const running = flights.get(key)
    if (running) return running

    const flight = task().finally(() => flights.delete(key))
    flights.set(key, flight)
    return flight
  }

  /** Resolves when none is under way, however they end. */
  async function settled(): Promise<void> {
    while (flights.size > 0) await Promise.allSettled(flights.values())
  }

  return Object.assign(fly, { settled })
}
