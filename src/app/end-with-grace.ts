import closeWithGrace from 'close-with-grace'

/**
 * One press of Ctrl-C arrives twice in a process that npm started: from the terminal, which signals npm as well, and from
 * npm, which hands it on.
 */
const DUPLICATE_MS = 1_000

/** Handled here, since close-with-grace cannot pass over a signal: whatever comes second ends the process. */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const

export interface EndReason {
  signal?: NodeJS.Signals
  err?: Error
}

/**
 * Ends the process with 0 on a signal, and with 1 on an error that nobody caught, after `close`. `close` has no time
 * limit here. A second signal ends the process with 1 at once, unless it is the first one arriving twice.
 */
export function endWithGrace(close: (reason: EndReason) => Promise<void>): void {
  let first: { signal: NodeJS.Signals; at: number } | undefined
  let isEnding = false
  const grace = closeWithGrace({ delay: false, logger: false, skip: [...SIGNALS] }, (reason) => {
    isEnding = true
    return close({ ...reason, ...(first && { signal: first.signal }) })
  })
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      const at = performance.now()
      if (signal === first?.signal && at - first.at < DUPLICATE_MS) return
      if (isEnding) process.exit(1)
      first = { signal, at }
      grace.close()
    })
  }
}
