import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import { type CallContext, hasHungUp, onHangUp } from './call.ts'

/**
 * Waits for `work` until `deadlineAt` (on the monotonic clock), then rejects with `lateProblem()`. The work
 * itself goes on: it may serve others.
 */
export async function withDeadline<T>(
  clock: Clock,
  deadlineAt: number,
  work: Promise<T>,
  lateProblem: () => Problem
): Promise<T> {
  const { promise: expiry, reject } = Promise.withResolvers<never>()
  const timer = clock.after(Math.max(1, deadlineAt - clock.monotonic()), () => reject(lateProblem()))
  try {
    return await Promise.race([work, expiry])
  } finally {
    clock.cancel(timer)
  }
}

export const tokenDeadlineProblem = (): Problem =>
  new Problem('deadline-exceeded', 'The deadline passed while the location’s token was renewed')

export const closingProblem = (): Problem =>
  new Problem('shutting-down', 'This process is shutting down: the call was not sent, or not sent again', {
    retryAfterSeconds: 1
  })

/** For the log only: the caller is gone. */
export const hangUpProblem = (): Problem =>
  new Problem('deadline-exceeded', 'The caller hung up before the next attempt')

/** Waits before an attempt. Rejects with a Problem when the caller hangs up or `closing` is aborted. */
export async function pause(
  clock: Clock,
  ms: number,
  { caller }: Pick<CallContext, 'caller'>,
  closing: AbortSignal
): Promise<void> {
  const cancel = new AbortController()
  const off = onHangUp(caller, () => cancel.abort())
  try {
    if (hasHungUp(caller)) throw hangUpProblem()
    await clock.sleep(ms, { signal: AbortSignal.any([cancel.signal, closing]) })
  } catch {
    throw cancel.signal.aborted || hasHungUp(caller) ? hangUpProblem() : closingProblem()
  } finally {
    off()
  }
}

/** Waits for `work`. Rejects with a Problem when the caller hangs up; the work itself goes on. */
export async function unlessHungUp<T>({ caller }: Pick<CallContext, 'caller'>, work: Promise<T>): Promise<T> {
  const { promise: hangUp, reject } = Promise.withResolvers<never>()
  const off = onHangUp(caller, () => reject(hangUpProblem()))
  try {
    return await Promise.race([work, hangUp])
  } finally {
    off()
  }
}
