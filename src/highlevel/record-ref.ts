/** A record of a location's object. All three parts have passed their patterns. */
export interface RecordRef {
  locationId: string
  schemaKey: string
  id: string
}

/** An object of a location. */
export type ObjectRef = Pick<RecordRef, 'locationId' | 'schemaKey'>

/** Where HighLevel keeps a record: path and query. */
export const recordPath = ({ locationId, schemaKey, id }: RecordRef) =>
  `/objects/${encodeURIComponent(schemaKey)}/records/${encodeURIComponent(id)}?locationId=${encodeURIComponent(locationId)}`

/** The same of an object with its fields. */
export const objectPath = ({ locationId, schemaKey }: ObjectRef) =>
  `/objects/${encodeURIComponent(schemaKey)}?locationId=${encodeURIComponent(locationId)}&fetchProperties=true`
