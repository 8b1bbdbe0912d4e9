import type { Caller } from '../http/callers.ts'
import { type Fault, Problem } from '../problems.ts'
import type { RecordRef } from '../upstream/client.ts'
import type { RecordPath, RecordQuery } from './schemas.ts'

/** The location that is asked for, or the only one that the caller has. */
function locationOf(caller: Caller, { locationId }: Partial<RecordQuery>): string | undefined {
  if (locationId !== undefined) return locationId
  const [only, ...others] = caller.locations === '*' ? [] : caller.locations
  return others.length === 0 ? only : undefined
}

const unnamed: Fault = {
  parameter: 'locationId',
  code: 'required',
  detail: 'is required: this key is not bound to exactly one location'
}

/** The fault of a call that names no location where it must. */
export const locationFaults = (caller: Caller, query: unknown): readonly Fault[] =>
  locationOf(caller, query as Partial<RecordQuery>) === undefined ? [unnamed] : []

/**
 * The record that a call is about, if its caller may touch the location. A location that is not the caller's is
 * refused in the same words whether it exists or not.
 */
export function recordRef(caller: Caller, path: RecordPath, query: RecordQuery): RecordRef {
  const locationId = locationOf(caller, query)
  if (locationId === undefined) throw new Problem('invalid-request', 'The location is not named', { errors: [unnamed] })
  if (caller.locations !== '*' && !caller.locations.has(locationId)) {
    throw new Problem('location-forbidden', 'This caller may not touch this location')
  }
  return { locationId, schemaKey: path.schemaKey, id: path.id }
}
