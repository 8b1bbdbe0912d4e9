import { type CallContext, hasHungUp, onHangUp } from '../highlevel/call.ts'
import { closingProblem, hangUpProblem } from '../highlevel/deadline.ts'
import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import { createKeyedMutex } from '../shared/keyed-mutex.ts'

export interface RecordMutex {
  /** Takes the turn where nobody has it. Whoever has had a turn must `pass` it on. */
  take(record: string): boolean
  /** Resolves when the turn has come. Rejects with a Problem. */
  wait(record: string, context: CallContext): Promise<void>
  pass(record: string): void
  /** Whoever waits is told to go elsewhere. */
  close(): void
}

const late = () =>
  new Problem('deadline-exceeded', 'The time of the call ended while earlier writes of this record were carried out')

/** `max` may wait for one record. */
export function createRecordMutex(max: number, clock: Clock): RecordMutex {
  const turns = createKeyedMutex()
  const waiting = new Set<(problem: Problem) => void>()
  let isClosed = false

  return {
    take: turns.tryAcquire,
    pass: turns.release,

    wait(record, { deadlineAt, caller, callRecord }) {
      if (isClosed) throw closingProblem()
      if (turns.waitingCount(record) >= max) {
        throw new Problem('overloaded', 'Too many writes wait for this record', { retryAfterSeconds: 1 })
      }
      const since = clock.monotonic()
      return new Promise((resolve, reject) => {
        const end = () => {
          clock.cancel(timer)
          off()
          waiting.delete(giveUp)
          callRecord.queueMs += clock.monotonic() - since
        }
        const leave = turns.enqueue(record, () => {
          end()
          resolve()
        })
        const giveUp = (problem: Problem) => {
          if (!leave()) return
          end()
          reject(problem)
        }
        const timer = clock.after(Math.max(1, deadlineAt - since), () => giveUp(late()))
        const off = onHangUp(caller, () => giveUp(hangUpProblem()))
        waiting.add(giveUp)
        if (hasHungUp(caller)) giveUp(hangUpProblem())
      })
    },

    close() {
      isClosed = true
      for (const giveUp of waiting) giveUp(closingProblem())
    }
  }
}
