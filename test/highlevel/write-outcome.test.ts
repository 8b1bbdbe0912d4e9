import t from 'tap'
import type { Answer, WriteOutcome } from '../../src/highlevel/call.ts'
import {
  markFailed,
  markSent,
  markSucceeded,
  markUnknown,
  withWriteOutcome
} from '../../src/highlevel/write-outcome.ts'
import { Problem, type ProblemExtras } from '../../src/problems/problem.ts'
import { createCall } from './calls.ts'

const answer = (status: number): Answer => ({ status, headers: {}, body: Buffer.alloc(0) })
const problem = (extras?: ProblemExtras) => new Problem('upstream-failed', 'The connection broke', extras)

t.test('the outcome of a write goes from not sent to sent, and on to applied or unknown', async (t) => {
  const put = createCall('PUT')
  const steps: [step: () => void, outcome: WriteOutcome][] = [
    [() => undefined, 'not-sent'],
    [() => markSent(put), 'sent'],
    [() => markFailed(put, answer(429), undefined), 'sent'],
    [() => markFailed(put, undefined, problem()), 'sent'],
    [() => markFailed(put, answer(503), undefined), 'unknown'],
    [() => markSent(put), 'unknown'],
    [() => markFailed(put, answer(429), undefined), 'unknown'],
    [() => markSucceeded(put), 'applied'],
    [() => markSent(put), 'applied'],
    [() => markUnknown(put), 'applied']
  ]

  for (const [step, outcome] of steps) {
    step()
    t.equal(put.write.outcome, outcome)
  }
})

t.test('a read never changes the outcome of a write', async (t) => {
  const get = createCall('GET')

  markSent(get)
  markFailed(get, answer(503), undefined)
  markSucceeded(get)

  t.equal(get.write.outcome, 'not-sent')
  t.ok(get.isSent)
})

t.test('a problem says “unknown” once any attempt may have been carried out', async (t) => {
  const interruption = new Problem('shutting-down', 'The process ends')
  const rows: [outcome: WriteOutcome, problem: Problem, applied: 'no' | 'unknown'][] = [
    ['not-sent', problem(), 'no'],
    ['not-sent', interruption, 'no'],
    ['sent', problem(), 'no'],
    ['sent', interruption, 'unknown'],
    ['applied', problem(), 'unknown'],
    ['unknown', problem(), 'unknown'],
    ['sent', problem({ applied: 'unknown' }), 'unknown']
  ]

  for (const [outcome, thrown, applied] of rows) {
    const write = { outcome }
    t.equal(withWriteOutcome({ write }, thrown).extras.applied ?? 'no', applied, `${outcome} ${thrown.code}`)
  }
  const write = { outcome: 'sent' as WriteOutcome }
  withWriteOutcome({ write }, problem({ applied: 'unknown' }))
  t.equal(write.outcome, 'unknown', 'later problems of the request say so too')
})
