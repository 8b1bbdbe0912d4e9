/** A timer that fires so much too late says that this process was busy, not that Redis is slow. */
const LATE_MS = 5
const MAX_RESTARTS = 2

/**
 * Resolves with `undefined` once the time is over. Time in which this process was too busy to send or to read does not
 * count: the wait begins anew.
 */
export async function inTime<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  const { promise: expiry, resolve } = Promise.withResolvers<undefined>()
  let timer: NodeJS.Timeout
  const start = (again: number) => {
    const dueAt = performance.now() + ms
    timer = setTimeout(() => {
      if (again > 0 && performance.now() > dueAt + LATE_MS) start(again - 1)
      // What has arrived by now, though not been read, is read first.
      else setImmediate(resolve, undefined)
    }, ms)
  }
  start(MAX_RESTARTS)
  return Promise.race([work, expiry]).finally(() => clearTimeout(timer))
}
