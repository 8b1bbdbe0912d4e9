import type { Answer } from './call.ts'

/** The number in a field of an answer, where it is one that counts something: not negative. */
export const numberOf = ({ headers }: Answer, name: string): number | undefined => {
  const text = headers[name]
  if (typeof text !== 'string' || text.trim() === '') return undefined
  const value = Number(text)
  return value >= 0 ? value : undefined
}

/**
 * A whole number within bounds, or nothing: it goes into timers and into Redis, and an odd one that is believed could
 * keep a location from ever hearing another.
 */
export const countOf = (answer: Answer, name: string, least: number, most: number): number | undefined => {
  const value = numberOf(answer, name)
  return value !== undefined && Number.isInteger(value) && value >= least && value <= most ? value : undefined
}

/** For Retry-After: whole seconds from 1 to a day. */
export const wholeSeconds = (seconds: number): number => Math.min(86_400, Math.max(1, Math.ceil(seconds)))
