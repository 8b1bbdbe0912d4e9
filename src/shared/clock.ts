import { setTimeout as sleep } from 'node:timers/promises'

/** A timer that has been set. It keeps the process alive until it is cancelled or `unref` is called. */
export interface Timer extends Disposable {
  unref(): Timer
}

interface SleepOptions {
  /** Rejects the sleep with an `AbortError` when it is aborted. */
  signal?: AbortSignal
  /** Default true: the sleep keeps the process alive. */
  ref?: boolean
}

/** Time and timers. Injected everywhere, so that a test can move them. */
export interface Clock {
  /** Epoch milliseconds. They jump when the system clock is set: for times that are stored or shown to others. */
  now(): number
  /** Milliseconds that only grow, from an arbitrary start: for time spans and deadlines within this process. */
  monotonic(): number
  /** Runs once, after `ms`. */
  after(ms: number, run: () => void): Timer
  /** Runs again and again, `ms` apart. */
  every(ms: number, run: () => void): Timer
  cancel(timer: Timer | undefined): void
  sleep(ms: number, options?: SleepOptions): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, run) => setTimeout(run, ms),
  every: (ms, run) => setInterval(run, ms),
  cancel: (timer) => timer?.[Symbol.dispose](),
  sleep: (ms, options) => sleep(ms, undefined, options)
}
