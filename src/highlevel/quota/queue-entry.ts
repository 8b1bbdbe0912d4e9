import type { Problem } from '../../problems/problem.ts'
import { type LocationCall, onGone } from '../call.ts'
import { hungUp } from '../deadline.ts'
import type { Entry } from './fair-queue.ts'
import type { Place } from './learned-limits.ts'

/** A call in a location's line. */
export interface Waiter extends Entry {
  give(place: Place): void
  refuse(problem: Problem): void
}

interface Watch {
  /** Takes the waiter out of the line. */
  remove(waiter: Waiter): void
  /** The problem of a call whose time ends in line. */
  late(): Problem
}

/** A waiter that keeps its deadline and its caller in sight, and the promise of what it waits for. */
export function createWaiter(
  { waiting, deadlineAt }: LocationCall,
  { remove, late }: Watch
): { waiter: Waiter; place: Promise<Place> } {
  const { promise, resolve, reject } = Promise.withResolvers<Place>()
  const end = () => {
    clearTimeout(timer)
    off()
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
    }
  }
  const giveUp = (problem: Problem) => {
    remove(waiter)
    waiter.refuse(problem)
  }
  const timer = setTimeout(() => giveUp(late()), Math.max(1, deadlineAt - performance.now()))
  const off = onGone(waiting, () => giveUp(hungUp()))
  return { waiter, place: promise }
}
