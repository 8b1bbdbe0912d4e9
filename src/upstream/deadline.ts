import { Problem } from '../problems.ts'

/**
 * Waits for `work` until `deadlineAt` (on the clock of `performance.now()`), then rejects with `deadline-exceeded`.
 * The work itself goes on: it may serve others.
 */
export async function before<T>(deadlineAt: number, work: Promise<T>): Promise<T> {
  const { promise: expiry, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new Problem('deadline-exceeded', 'The time of the call ended while the location’s token was renewed')),
    deadlineAt - performance.now()
  )
  try {
    return await Promise.race([work, expiry])
  } finally {
    clearTimeout(timer)
  }
}
