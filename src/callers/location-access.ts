import { type FieldError, Problem } from '../problems/problem.ts'
import type { Caller } from './caller.ts'

interface Query {
  /** Left out where the caller's key is bound to exactly one location. */
  locationId?: string
}

/** The location that is asked for, or the only one that the caller has. */
function named(caller: Caller, { locationId }: Query): string | undefined {
  if (locationId !== undefined) return locationId
  const [only, ...others] = caller.locations === '*' ? [] : caller.locations
  return others.length === 0 ? only : undefined
}

const unnamed: FieldError = {
  parameter: 'locationId',
  code: 'required',
  detail: 'is required: this key is not bound to exactly one location'
}

/** The fault of a call that names no location where it must. */
export const locationErrors = (caller: Caller, query: unknown): readonly FieldError[] =>
  named(caller, query as Query) === undefined ? [unnamed] : []

/**
 * The location that a call is about, if its caller may touch it. A location that is not the caller's is refused in the
 * same words whether it exists or not.
 */
export function locationOf(caller: Caller, query: Query): string {
  const locationId = named(caller, query)
  if (locationId === undefined) throw new Problem('invalid-request', 'The location is not named', { errors: [unnamed] })
  if (caller.locations === '*' || caller.locations.has(locationId)) return locationId
  throw new Problem('location-forbidden', 'This caller may not touch this location')
}
