/**
 * The calls of one location that HighLevel may still be counting. HighLevel counts a call some time between its sending
 * and its answer, so a call takes its place from before it is sent until one window after it was answered: whatever the
 * wire does in between, there are never more calls in a window than places.
 *
 * A plain object, as there is one for each location. Times are on the clock of `performance.now()`.
 */
export interface WindowLog {
  /** Sent, or about to be, and not yet answered. */
  pending: number
  /** Answered, and not yet forgotten. */
  settled: number
  /** When calls were answered at the latest, oldest first, from `head` on; as many of them at each as `counts` says. */
  times: number[]
  counts: number[]
  head: number
}

export const createWindowLog = (): WindowLog => ({ pending: 0, settled: 0, times: [], counts: [], head: 0 })

/** Answers this close together, as a part of a window, are kept as one: it bounds what a busy location costs. */
const GRAINS = 1_000
/** Forgotten entries are cleared away when there are this many of them. */
const SWEEP = 256

export const usedOf = ({ pending, settled }: WindowLog): number => pending + settled

/** Forgets what was answered a window ago. */
export function dropExpired(spent: WindowLog, windowMs: number, at: number): void {
  while (spent.head < spent.times.length && (spent.times[spent.head] ?? 0) <= at - windowMs) {
    spent.settled -= spent.counts[spent.head] ?? 0
    spent.head += 1
  }
  if (spent.head === spent.times.length) {
    if (spent.head > 0) Object.assign(spent, { times: [], counts: [], head: 0 })
  } else if (spent.head >= SWEEP) {
    spent.times.splice(0, spent.head)
    spent.counts.splice(0, spent.head)
    spent.head = 0
  }
}

/** A pending call was answered, or broke, and HighLevel may have counted it. */
export function recordAnswered(spent: WindowLog, windowMs: number, at: number): void {
  spent.pending -= 1
  spent.settled += 1
  const last = spent.times.length - 1
  // The time of a grain is its end: none of it is forgotten early.
  if (last >= spent.head && at <= (spent.times[last] ?? 0)) spent.counts[last] = (spent.counts[last] ?? 0) + 1
  else {
    spent.times.push(at + windowMs / GRAINS)
    spent.counts.push(1)
  }
}

/** When the n-th (from 0) of the calls that were answered is forgotten; `undefined` where so many were not answered. */
export function expiresAt(spent: WindowLog, n: number, windowMs: number): number | undefined {
  let left = n
  for (let i = spent.head; i < spent.times.length; i += 1) {
    left -= spent.counts[i] ?? 0
    if (left < 0) return (spent.times[i] ?? 0) + windowMs
  }
  return undefined
}
