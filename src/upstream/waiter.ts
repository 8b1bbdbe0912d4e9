import type { Problem } from '../problems.ts'
import type { Place } from './allowance.ts'
import { isGone, type LocationCall, onGone } from './call.ts'
import { hungUp } from './deadline.ts'
import type { Entry } from './line.ts'

/** A call in a location's line. */
export interface Waiter extends Entry {
  give(place: Place): void
  refuse(problem: Problem): void
  /**
   * Begins to watch the deadline and the caller. Not done at once: Redis answers within milliseconds, or is not waited
   * for, and most calls wait for nothing else.
   */
  arm(): void
}

interface Watch {
  /** Takes the waiter out of the line. */
  remove(waiter: Waiter): void
  /** The problem of a call whose time ends in line. */
  late(): Problem
}

/** A waiter, and the promise of what it waits for. */
export function createWaiter(
  { waiting, deadlineAt }: LocationCall,
  { remove, late }: Watch
): { waiter: Waiter; place: Promise<Place> } {
  const { promise, resolve, reject } = Promise.withResolvers<Place>()
  let timer: NodeJS.Timeout | undefined
  let off: (() => void) | undefined
  let state: 'new' | 'armed' | 'served' = 'new'

  const end = () => {
    state = 'served'
    clearTimeout(timer)
    off?.()
  }
  const giveUp = (problem: Problem) => {
    remove(waiter)
    waiter.refuse(problem)
  }
  const waiter: Waiter = {
    callerId: waiting.id,
    give(place) {
      end()
      resolve(place)
    },
    refuse(problem) {
      end()
      reject(problem)
    },
    arm() {
      if (state !== 'new') return
      state = 'armed'
      if (isGone(waiting)) return giveUp(hungUp())
      timer = setTimeout(() => giveUp(late()), Math.max(1, deadlineAt - performance.now()))
      off = onGone(waiting, () => giveUp(hungUp()))
    }
  }
  return { waiter, place: promise }
}
