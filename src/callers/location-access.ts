import { type FieldError, Problem } from '../problems/problem.ts'
import type { Caller } from './caller.ts'

interface Query {
  /** Optional if the caller's key is bound to exactly one location. */
  locationId?: string
}

/** The location in the query, or else the caller's only location. */
function requestedLocation(caller: Caller, { locationId }: Query): string | undefined {
  if (locationId !== undefined) return locationId
  const [only, ...others] = caller.locations === '*' ? [] : caller.locations
  return others.length === 0 ? only : undefined
}

const locationRequired: FieldError = {
  parameter: 'locationId',
  code: 'required',
  detail: 'is required: the credential is not bound to exactly one location'
}

/** The error of a call that names no location although it must. */
export const locationErrors = (caller: Caller, query: unknown): readonly FieldError[] =>
  requestedLocation(caller, query as Query) === undefined ? [locationRequired] : []

/**
 * The location of a call. Throws a Problem if the caller has no access to it, with the same text whether or not the
 * location exists.
 */
export function authorizedLocation(caller: Caller, query: Query): string {
  const locationId = requestedLocation(caller, query)
  if (locationId === undefined)
    throw new Problem('invalid-request', 'The locationId is missing', { errors: [locationRequired] })
  if (caller.locations === '*' || caller.locations.has(locationId)) return locationId
  throw new Problem('location-forbidden', 'The caller has no access to this location')
}
