import type { Answer } from './answers.ts'
import { requestRefusal } from './answers.ts'
import type { ReceivedRequest } from './journal.ts'
import type { World } from './world.ts'

const SEEDED_AT = '2024-07-11T09:00:00.000Z'

export interface Field {
  name: string
  /** Prefixed with the object's key: `custom_objects.ticket.ticket_name`. */
  fieldKey: string
  /** A data type of HighLevel. Fields of unknown types accept every value. */
  dataType: string
  id?: string
  options?: { key: string; label: string }[]
  allowCustomOption?: boolean
  maxFileLimit?: number
  acceptedFormats?: string
  /** Rejects a value that another record of the location has. Like HighLevel's, our schemas do not show this. */
  unique?: boolean
}

export interface ObjectSchema {
  id: string
  key: string
  /** Whether it is a standard object such as `business`, not a custom one. */
  standard: boolean
  labels: { singular: string; plural: string }
  description?: string
  primaryDisplayProperty?: string
  fields: Field[]
}

/** The field behind a property key. `option` is set if the key names one option of a TEXTBOX_LIST. */
export interface Slot {
  field: Field
  option?: string
}

interface ObjectEntry {
  schema: ObjectSchema
  slots: Map<string, Slot>
}

/** The key of a field without that of its object: `money` for `custom_objects.ticket.money`. */
export const shortKeyOf = (schema: ObjectSchema, field: Field): string =>
  field.fieldKey.startsWith(`${schema.key}.`) ? field.fieldKey.slice(schema.key.length + 1) : field.fieldKey

function slotsOf(schema: ObjectSchema): Map<string, Slot> {
  const slots = new Map<string, Slot>()
  for (const field of schema.fields) {
    const key = shortKeyOf(schema, field)
    slots.set(key, { field })
    if (field.dataType !== 'TEXTBOX_LIST') continue
    for (const option of field.options ?? []) slots.set(`${key}.${option.key}`, { field, option: option.key })
  }
  return slots
}

/** The objects by key and id. All locations share them, as after loading a HighLevel snapshot. */
export function createObjects() {
  const entries = new Map<string, ObjectEntry>()

  return {
    find: (keyOrId: string): ObjectEntry | undefined => entries.get(keyOrId),
    put(schema: ObjectSchema): void {
      const entry = { schema, slots: slotsOf(schema) }
      entries.set(schema.key, entry).set(schema.id, entry)
    }
  }
}

/** Without a location HighLevel finds no object at all, and says just that. */
export function findObject(world: World, keyOrId: string, locationId: string | undefined): ObjectEntry {
  const entry = locationId === undefined ? undefined : world.objects.find(keyOrId)
  if (entry === undefined) throw requestRefusal(404, `Custom Object (${keyOrId}) not found`)
  return entry
}

/** GET /objects/:key */
export function readObject(world: World, { query }: ReceivedRequest, key: string): Answer {
  const { schema } = findObject(world, key, query['locationId'])
  const common = { locationId: query['locationId'], dateAdded: SEEDED_AT, dateUpdated: SEEDED_AT }
  const { fields, ...object } = schema
  const shownObject = { ...object, ...common, type: schema.standard ? 'SYSTEM_DEFINED' : 'USER_DEFINED' }
  if (query['fetchProperties'] !== 'true') return { status: 200, body: { object: shownObject, cache: true } }

  const parentId = `${schema.id.slice(0, -1)}f`
  const details = { ...common, objectKey: schema.key, parentId, showInForms: true, standard: schema.standard }
  const show = ({ unique: _, ...field }: Field, position: number) => ({ ...details, ...field, position })
  return { status: 200, body: { object: shownObject, cache: true, fields: fields.map(show) } }
}
