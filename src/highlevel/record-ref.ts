/** A record of a location's object. All three parts were validated against their patterns. */
export interface RecordRef {
  locationId: string
  schemaKey: string
  id: string
}

/** An object of a location. */
export type ObjectRef = Pick<RecordRef, 'locationId' | 'schemaKey'>

/** Path and query of a record at HighLevel. */
export const recordPath = ({ locationId, schemaKey, id }: RecordRef) =>
  `/objects/${encodeURIComponent(schemaKey)}/records/${encodeURIComponent(id)}?locationId=${encodeURIComponent(locationId)}`

/** Path and query of an object with its fields. */
export const objectPath = ({ locationId, schemaKey }: ObjectRef) =>
  `/objects/${encodeURIComponent(schemaKey)}?locationId=${encodeURIComponent(locationId)}&fetchProperties=true`
