import closeWithGrace from 'close-with-grace'
import { systemClock } from '../shared/clock.ts'

/**
 * In a process that npm started, one press of Ctrl-C arrives twice: from the terminal, which signals the whole process
 * group, and from npm, which forwards the signal.
 */
const DUPLICATE_MS = 1_000

/** Handled here and not by close-with-grace, which would treat the duplicate as a second signal and exit at once. */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const

export interface ShutdownReason {
  signal?: NodeJS.Signals
  err?: Error
}

/**
 * Runs `close` on a signal or an uncaught error, then exits: with 0 after a signal, with 1 after an error. `close` has
 * no time limit here. A second signal exits with 1 at once, unless it is a duplicate of the first.
 */
export function shutDownOnSignal(close: (reason: ShutdownReason) => Promise<void>): void {
  let first: { signal: NodeJS.Signals; at: number } | undefined
  let isShuttingDown = false
  const grace = closeWithGrace({ delay: false, logger: false, skip: [...SIGNALS] }, (reason) => {
    isShuttingDown = true
    return close({ ...reason, ...(first && { signal: first.signal }) })
  })
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      const at = systemClock.monotonic()
      if (signal === first?.signal && at - first.at < DUPLICATE_MS) return
      if (isShuttingDown) process.exit(1)
      first = { signal, at }
      grace.close()
    })
  }
}
