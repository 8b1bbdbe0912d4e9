import type { Problem } from '../../problems/problem.ts'
import { type LocationCall, onGone } from '../call.ts'
import { callerGone } from '../deadline.ts'
import type { Queued } from './fair-queue.ts'
import type { Permit } from './limits.ts'

/** A call in a location's line. */
export interface QueueEntry extends Queued {
  give(place: Permit): void
  refuse(problem: Problem): void
}

interface Watch {
  /** Takes the waiter out of the line. */
  remove(waiter: QueueEntry): void
  /** The problem of a call whose time ends in line. */
  late(): Problem
}

/** A waiter that keeps its deadline and its caller in sight, and the promise of what it waits for. */
export function createQueueEntry(
  { caller, deadlineAt }: LocationCall,
  { remove, late }: Watch
): { waiter: QueueEntry; place: Promise<Permit> } {
  const { promise, resolve, reject } = Promise.withResolvers<Permit>()
  const end = () => {
    clearTimeout(timer)
    off()
  }
  const waiter: QueueEntry = {
    callerId: caller.id,
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
  const off = onGone(caller, () => giveUp(callerGone()))
  return { waiter, place: promise }
}
