import type { Clock, Timer } from './clock.ts'

/** Waits for `work`, but no longer than `ms`; the work itself goes on. Rejects if `work` rejects in time. */
export async function waitAtMost(clock: Clock, ms: number, work: () => Promise<void>): Promise<void> {
  const { promise: expiry, resolve } = Promise.withResolvers<void>()
  const timer = clock.after(ms, resolve)
  await Promise.race([work(), expiry]).finally(() => clock.cancel(timer))
}

/** A timer that fires this late shows that this process was busy, not that the other side is slow. */
const LATE_MS = 5
const MAX_RESTARTS = 2

/**
 * The result of `work`, or `undefined` after `ms`. Time during which this process was too busy to send or to read does
 * not count: the timer then starts again.
 */
export async function withTimeout<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T | undefined> {
  const { promise: expiry, resolve } = Promise.withResolvers<undefined>()
  let timer: Timer | undefined
  const start = (restartsLeft: number) => {
    const dueAt = clock.monotonic() + ms
    timer = clock.after(ms, () => {
      if (restartsLeft > 0 && clock.monotonic() > dueAt + LATE_MS) start(restartsLeft - 1)
      // Data that has arrived but has not been read yet is read first.
      else setImmediate(resolve, undefined)
    })
  }
  start(MAX_RESTARTS)
  return Promise.race([work, expiry]).finally(() => clock.cancel(timer))
}
