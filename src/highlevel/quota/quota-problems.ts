import { Problem } from '../../problems/problem.ts'
import { toRetryAfterSeconds } from '../answer-headers.ts'
import { untilDayEndMs } from './day-quota.ts'

/** Both in epoch milliseconds. */
export function dayProblem(now: number, dayEndsAt: number): Problem {
  const leftMs = untilDayEndMs(now, dayEndsAt)
  const at = new Date(now + leftMs).toISOString().slice(0, 16)
  return new Problem('location-daily-exhausted', `The daily quota of this location is used up until ${at} UTC`, {
    retryAfterSeconds: toRetryAfterSeconds(leftMs)
  })
}

/** `ms` until there would be a permit. */
export const burstProblem = (ms: number): Problem =>
  new Problem(
    'location-burst-exhausted',
    'The quota of this location has no room for this call before its deadline, after the calls that wait ahead of it',
    { retryAfterSeconds: toRetryAfterSeconds(ms) }
  )

export const queueFullProblem = (ms: number): Problem =>
  new Problem('overloaded', 'Too many calls are waiting for this location', {
    retryAfterSeconds: toRetryAfterSeconds(ms)
  })

/** HighLevel is slow for the location: there is quota, but as many calls as are allowed at a time are in flight. */
export const deadlineProblem = (): Problem =>
  new Problem('deadline-exceeded', 'The deadline passed while other calls of this location were in flight')
