import { Problem } from '../../problems/problem.ts'
import { toRetryAfterSeconds } from '../answer-headers.ts'
import { untilDayEndMs } from './day.ts'

/** Both in epoch milliseconds. */
export function dayProblem(now: number, dayEndsAt: number): Problem {
  const leftMs = untilDayEndMs(now, dayEndsAt)
  const at = new Date(now + leftMs).toISOString().slice(0, 16)
  return new Problem('location-daily-exhausted', `HighLevel takes no more calls of this location until ${at} UTC`, {
    retryAfterSeconds: toRetryAfterSeconds(leftMs)
  })
}

/** `ms` until there would be a place. */
export const burstProblem = (ms: number): Problem =>
  new Problem(
    'location-burst-exhausted',
    'HighLevel allows this location no more calls within the time of this one, counting those that wait before it',
    { retryAfterSeconds: toRetryAfterSeconds(ms) }
  )

export const queueFullProblem = (ms: number): Problem =>
  new Problem('overloaded', 'Too many calls wait for this location', { retryAfterSeconds: toRetryAfterSeconds(ms) })

/** HighLevel is slow for the location: there was quota, but as many calls as may be under way at a time were. */
export const deadlineProblem = (): Problem =>
  new Problem('deadline-exceeded', 'The time of the call ended while others of its location were carried out')
