import type { Problem } from '../../problems/problem.ts'
import type { Clock } from '../../shared/clock.ts'
import { type LocationCall, onHangUp } from '../call.ts'
import { hangUpProblem } from '../deadline.ts'
import type { Queued } from './fair-queue.ts'
import type { Permit } from './limits.ts'

/** A call in a location's queue. */
export interface QueueEntry extends Queued {
  resolve(permit: Permit): void
  reject(problem: Problem): void
}

interface Options {
  /** Removes the entry from the queue. */
  remove(entry: QueueEntry): void
  /** The problem of a call whose deadline passes in the queue. */
  deadlineProblem(): Problem
}

/** An entry, and the promise of its permit. The entry leaves the queue at the deadline and when the caller hangs up. */
export function createQueueEntry(
  clock: Clock,
  { caller, deadlineAt }: LocationCall,
  { remove, deadlineProblem }: Options
): { entry: QueueEntry; permit: Promise<Permit> } {
  const { promise, resolve, reject } = Promise.withResolvers<Permit>()
  const stopWatching = () => {
    clock.cancel(timer)
    off()
  }
  const entry: QueueEntry = {
    callerId: caller.id,
    resolve(permit) {
      stopWatching()
      resolve(permit)
    },
    reject(problem) {
      stopWatching()
      reject(problem)
    }
  }
  const leave = (problem: Problem) => {
    remove(entry)
    entry.reject(problem)
  }
  const timer = clock.after(Math.max(1, deadlineAt - clock.monotonic()), () => leave(deadlineProblem()))
  const off = onHangUp(caller, () => leave(hangUpProblem()))
  return { entry, permit: promise }
}
