/**
 * The calls of one location that HighLevel may still be counting. HighLevel counts a call at some time between its
 * sending and its answer. So a call counts here from before its sending until one window after its answer: whatever the
 * latency, no window ever holds more calls than permits.
 *
 * A plain object, since there is one for each location. Times are on the monotonic clock.
 */
export interface WindowLog {
  /** Calls that are sent or about to be, and not answered. */
  pending: number
  /** Calls that are answered and still count. */
  answered: number
  /** When calls were answered at the latest, oldest first. Entries before `head` have expired. */
  times: number[]
  /** How many calls were answered at each of `times`. */
  counts: number[]
  head: number
}

export const createWindowLog = (): WindowLog => ({ pending: 0, answered: 0, times: [], counts: [], head: 0 })

/** Answers within this fraction of a window share one entry. This bounds the memory of a busy location. */
const ENTRIES_PER_WINDOW = 1_000
/** Expired entries are removed when there are this many of them. */
const COMPACT_AT = 256

export const usedOf = ({ pending, answered }: WindowLog): number => pending + answered

/** Stops counting the calls that were answered a window ago. */
export function dropExpired(log: WindowLog, windowMs: number, at: number): void {
  while (log.head < log.times.length && (log.times[log.head] ?? 0) <= at - windowMs) {
    log.answered -= log.counts[log.head] ?? 0
    log.head += 1
  }
  if (log.head === log.times.length) {
    if (log.head > 0) {
      log.times = []
      log.counts = []
      log.head = 0
    }
  } else if (log.head >= COMPACT_AT) {
    log.times.splice(0, log.head)
    log.counts.splice(0, log.head)
    log.head = 0
  }
}

/** A pending call was answered or failed, and HighLevel may have counted it. */
export function recordAnswered(log: WindowLog, windowMs: number, at: number): void {
  log.pending -= 1
  log.answered += 1
  const last = log.times.length - 1
  // An entry has the time at which its fraction of the window ends, so none of its calls expires early.
  if (last >= log.head && at <= (log.times[last] ?? 0)) log.counts[last] = (log.counts[last] ?? 0) + 1
  else {
    log.times.push(at + windowMs / ENTRIES_PER_WINDOW)
    log.counts.push(1)
  }
}

/** When the n-th (from 0) of the answered calls expires; `undefined` when fewer calls are answered. */
export function expiresAt(log: WindowLog, n: number, windowMs: number): number | undefined {
  let left = n
  for (let i = log.head; i < log.times.length; i += 1) {
    left -= log.counts[i] ?? 0
    if (left < 0) return (log.times[i] ?? 0) + windowMs
  }
  return undefined
}
