import { setTimeout as sleep } from 'node:timers/promises'
import { Problem } from '../problems/problem.ts'
import { type CallContext, isGone, onGone } from './call.ts'

/**
 * Waits for `work` until `deadlineAt` (on the clock of `performance.now()`), then rejects with the problem `late`.
 * The work itself goes on: it may serve others.
 */
export async function withDeadline<T>(deadlineAt: number, work: Promise<T>, late: () => Problem): Promise<T> {
  const { promise: expiry, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(late()), Math.max(1, deadlineAt - performance.now()))
  try {
    return await Promise.race([work, expiry])
  } finally {
    clearTimeout(timer)
  }
}

export const lateToken = (): Problem =>
  new Problem('deadline-exceeded', 'The time of the call ended while the location’s token was renewed')

/** The process ends first. */
export const closingProblem = (): Problem =>
  new Problem('shutting-down', 'This process ends before the call could be sent', { retryAfterSeconds: 1 })

/** For the log alone: nobody is there to read it. */
export const callerGone = (): Problem => new Problem('deadline-exceeded', 'The caller hung up before the call was sent')

/** Waits before an attempt. Rejects with a Problem as soon as the caller has hung up, or the process is `closing`. */
export async function pause(ms: number, { caller }: Pick<CallContext, 'caller'>, closing: AbortSignal): Promise<void> {
  const cancel = new AbortController()
  const off = onGone(caller, () => cancel.abort())
  try {
    if (isGone(caller)) throw callerGone()
    await sleep(ms, undefined, { signal: AbortSignal.any([cancel.signal, closing]) })
  } catch {
    throw cancel.signal.aborted || isGone(caller) ? callerGone() : closingProblem()
  } finally {
    off()
  }
}

/** The outcome of `work`, or a Problem as soon as the caller hangs up. The work itself goes on. */
export async function unlessGone<T>({ caller }: Pick<CallContext, 'caller'>, work: Promise<T>): Promise<T> {
  const { promise: departure, reject } = Promise.withResolvers<never>()
  const off = onGone(caller, () => reject(callerGone()))
  try {
    return await Promise.race([work, departure])
  } finally {
    off()
  }
}
