import t from 'tap'
import { Problem } from '../../src/problems/problem.ts'

t.test('a copy with further extras keeps code, detail, cause, stack and the extras that it had', async (t) => {
  const cause = new Error('socket hang up')
  const problem = new Problem('upstream-failed', 'The connection broke', { cause, retryAfterSeconds: 5 })

  const copy = problem.with({ applied: 'unknown' })

  t.match(copy, { code: 'upstream-failed', status: problem.status, detail: 'The connection broke' })
  t.equal(copy.cause, cause)
  t.equal(copy.stack, problem.stack)
  t.strictSame(copy.extras, { cause, retryAfterSeconds: 5, applied: 'unknown' })
  t.equal(problem.extras.applied, undefined, 'the problem itself is left as it was')
})
