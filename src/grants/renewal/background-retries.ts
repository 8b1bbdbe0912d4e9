import { setTimeout as sleep } from 'node:timers/promises'
import type { BaseLogger } from 'pino'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000
/** Some ten minutes. */
const MAX_TRIES = 120

interface Deps {
  log: BaseLogger
  /** Aborted when the process ends: each is tried once more then. */
  ending: AbortSignal
}

/** What has to follow a save, such as telling a company's locations, and must not be lost to a store that fails for a while. */
export function createBackgroundRetries({ log, ending }: Deps) {
  const underWay = new Set<Promise<void>>()

  const persist = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    let pauseMs = FIRST_PAUSE_MS
    for (let tries = 1; ; tries += 1) {
      try {
        await work()
        return
      } catch (err) {
        const isLast = tries === MAX_TRIES || ending.aborted
        log.warn({ err, isLast }, what)
        if (isLast) return
      }
      await sleep(pauseMs)
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    }
  }

  return {
    /** Does `work`, which must be safe to repeat, again and again while it rejects. `what` is logged each time. */
    start(what: string, work: () => Promise<unknown>): void {
      const run = persist(what, work).finally(() => underWay.delete(run))
      underWay.add(run)
    },

    async drain(): Promise<void> {
      while (underWay.size > 0) await Promise.all(underWay)
    }
  }
}

export type BackgroundRetries = ReturnType<typeof createBackgroundRetries>
