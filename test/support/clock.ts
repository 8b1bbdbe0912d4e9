import { type Clock, systemClock, type Timer } from '../../src/shared/clock.ts'

interface TestTimer extends Timer {
  dueAt: number
  run: () => void
}

/**
 * A clock that stands still until the test moves it. `move` runs the timers that become due, in order. `move` with a
 * negative time sets the wall clock back, and no timer runs.
 */
export function createClock(start = Date.UTC(2026, 0, 1)) {
  let wall = start
  // Not 0, so that no time of this clock equals a 0 that means `never`.
  let elapsed = 1_000
  const timers = new Set<TestTimer>()

  const set = (ms: number, run: () => void): TestTimer => {
    const timer: TestTimer = {
      dueAt: elapsed + Math.max(1, ms),
      run,
      unref: () => timer,
      [Symbol.dispose]: () => void timers.delete(timer)
    }
    timers.add(timer)
    return timer
  }
  const cancel = (timer: Timer | undefined) => timer?.[Symbol.dispose]()
  const after = (ms: number, run: () => void): Timer => {
    const timer = set(ms, () => {
      timers.delete(timer)
      run()
    })
    return timer
  }

  const clock = {
    now: () => wall,
    monotonic: () => elapsed,
    after,
    every(ms: number, run: () => void): Timer {
      const timer = set(ms, () => {
        // Moved to the end of the set: timers due at the same time run in the order in which they were set.
        timers.delete(timer)
        timer.dueAt += Math.max(1, ms)
        timers.add(timer)
        run()
      })
      return timer
    },
    cancel,
    sleep: (ms: number, { signal }: { signal?: AbortSignal } = {}) =>
      new Promise<void>((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const onAbort = () => {
          cancel(timer)
          reject(signal?.reason)
        }
        const timer = after(ms, () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        })
        signal?.addEventListener('abort', onAbort, { once: true })
      }),

    move(ms: number): void {
      const end = { wall: wall + ms, elapsed: elapsed + Math.max(0, ms) }
      for (let next = nextDue(end.elapsed); next !== undefined; next = nextDue(end.elapsed)) {
        wall += next.dueAt - elapsed
        elapsed = next.dueAt
        next.run()
      }
      wall = end.wall
      elapsed = end.elapsed
    },

    /** Like `move`, but lets code that waits for a timer continue before the next timer runs. */
    async pass(ms: number): Promise<void> {
      const end = elapsed + ms
      await settled()
      for (let next = nextDue(end); next !== undefined; next = nextDue(end)) {
        clock.move(Math.max(0, next.dueAt - elapsed))
        await settled()
      }
      clock.move(end - elapsed)
      await settled()
    }
  }

  const nextDue = (end: number): TestTimer | undefined => {
    let next: TestTimer | undefined
    for (const timer of timers) if (timer.dueAt <= end && (next === undefined || timer.dueAt < next.dueAt)) next = timer
    return next
  }

  return clock satisfies Clock
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

/** The real clock with the wall time of `now`. For tests with real sockets, whose timers need real time. */
export const withWallTime = (now: () => number): Clock => ({ ...systemClock, now })
