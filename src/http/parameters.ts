import Type from 'typebox'
import { ID } from '../shared/ids.ts'

/** An object's key or id. It becomes a segment of HighLevel's path, so `..` is excluded. */
export const SchemaKey = Type.String({
  pattern: '^(?!.*\\.\\.)[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$',
  description: 'custom_objects.<name>, business or an object id'
})

export const LocationId = Type.String({ pattern: ID.source, description: 'one location id' })

/** The caller's own deadline. */
export const TimeoutMs = Type.String({
  pattern: '^[1-9][0-9]{0,6}$',
  description: 'a whole number of milliseconds, from 1 to 9999999'
})
