/** Waits for `work`, but no longer than `ms`; the work itself goes on. Rejects if `work` rejects in time. */
export async function waitAtMost(ms: number, work: () => Promise<void>): Promise<void> {
  const { promise: expiry, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([work(), expiry]).finally(() => clearTimeout(timer))
}

/** A timer that fires this late shows that this process was busy, not that the other side is slow. */
const LATE_MS = 5
const MAX_RESTARTS = 2

/**
 * The result of `work`, or `undefined` after `ms`. Time during which this process was too busy to send or to read does
 * not count: the timer then starts again.
 */
export async function withTimeout<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  const { promise: expiry, resolve } = Promise.withResolvers<undefined>()
  let timer: NodeJS.Timeout
  const start = (restartsLeft: number) => {
    const dueAt = performance.now() + ms
    timer = setTimeout(() => {
      if (restartsLeft > 0 && performance.now() > dueAt + LATE_MS) start(restartsLeft - 1)
      // Data that has arrived but has not been read yet is read first.
      else setImmediate(resolve, undefined)
    }, ms)
  }
  start(MAX_RESTARTS)
  return Promise.race([work, expiry]).finally(() => clearTimeout(timer))
}
