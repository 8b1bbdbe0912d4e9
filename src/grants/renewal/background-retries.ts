import type { BaseLogger } from 'pino'
import type { Clock } from '../../shared/clock.ts'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000
/** About ten minutes. */
const MAX_TRIES = 120

interface Deps {
  clock: Clock
  log: BaseLogger
  /** Aborted when the process shuts down: each piece of work then gets one last try. */
  ending: AbortSignal
}

/** Retries work that has to follow a save, such as rescheduling a company's locations, until the vault accepts it. */
export function createBackgroundRetries({ clock, log, ending }: Deps) {
  const running = new Set<Promise<void>>()

  const retry = async (message: string, work: () => Promise<unknown>): Promise<void> => {
    let pauseMs = FIRST_PAUSE_MS
    for (let tries = 1; ; tries += 1) {
      try {
        await work()
        return
      } catch (err) {
        const isLast = tries === MAX_TRIES || ending.aborted
        log.warn({ err, isLast }, message)
        if (isLast) return
      }
      await clock.sleep(pauseMs)
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    }
  }

  return {
    /** Starts `work`, and repeats it while it rejects. It must be safe to repeat. `message` is logged for each failure. */
    start(message: string, work: () => Promise<unknown>): void {
      const run = retry(message, work).finally(() => running.delete(run))
      running.add(run)
    },

    /** Resolves when no work is left. */
    async drain(): Promise<void> {
      while (running.size > 0) await Promise.all(running)
    }
  }
}

export type BackgroundRetries = ReturnType<typeof createBackgroundRetries>
