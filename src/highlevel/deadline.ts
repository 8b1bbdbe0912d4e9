import { setTimeout as sleep } from 'node:timers/promises'
import { Problem } from '../problems/problem.ts'
import { type CallContext, isGone, onGone } from './call.ts'

/**
 * Waits for `work` until `deadlineAt` (on the clock of `performance.now()`), then rejects with the problem `late`.
 * The work itself goes on: it may serve others.
 */
export async function before<T>(deadlineAt: number, work: Promise<T>, late: () => Problem): Promise<T> {
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
export const hungUp = (): Problem => new Problem('deadline-exceeded', 'The caller hung up before the call was sent')

/** Waits before an attempt. Rejects with a Problem as soon as the caller has hung up, or the process is `closing`. */
export async function pause(
  ms: number,
  { waiting }: Pick<CallContext, 'waiting'>,
  closing: AbortSignal
): Promise<void> {
  const cancel = new AbortController()
  const off = onGone(waiting, () => cancel.abort())
  try {
    if (isGone(waiting)) throw hungUp()
    await sleep(ms, undefined, { signal: AbortSignal.any([cancel.signal, closing]) })
  } catch {
    throw cancel.signal.aborted || isGone(waiting) ? hungUp() : closingProblem()
  } finally {
    off()
  }
}

/** The outcome of `work`, or a Problem as soon as the caller hangs up. The work itself goes on. */
export async function orGone<T>({ waiting }: Pick<CallContext, 'waiting'>, work: Promise<T>): Promise<T> {
  const { promise: departure, reject } = Promise.withResolvers<never>()
  const off = onGone(waiting, () => reject(hungUp()))
  try {
    return await Promise.race([work, departure])
  } finally {
    off()
  }
}
