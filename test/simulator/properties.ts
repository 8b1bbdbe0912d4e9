import { Refusal, requestRefusal } from './answers.ts'
import { type ObjectSchema, type Slot, shortKeyOf } from './objects.ts'
import type { StoredRecord } from './records.ts'
import { findRule, unexpectedFormat } from './values.ts'

interface Target {
  schema: ObjectSchema
  slots: Map<string, Slot>
  record: StoredRecord
  /** All records of the object, to check unique fields. */
  records: Iterable<StoredRecord>
}

/** Returns the record's properties after the change. The first invalid value rejects the whole change. */
export function applyProperties(target: Target, changes: Record<string, unknown>): Record<string, unknown> {
  const properties = { ...target.record.properties }
  for (const [key, value] of Object.entries(changes)) {
    const slot = findSlot(target, key)
    if (value === null) Object.assign(properties, clearProperty(target.schema, slot, key))
    else properties[key] = checkValue(target, slot, key, value)
  }
  return properties
}

function findSlot({ schema, slots }: Target, key: string): Slot {
  if (key.startsWith(`${schema.key}.`)) throw requestRefusal(400, "couldn't validate the mapped field")
  const slot = slots.get(key)
  if (slot === undefined) throw requestRefusal(400, 'Invalid Key Passed')
  return slot
}

function clearProperty(schema: ObjectSchema, { field, option }: Slot, key: string): Record<string, null> {
  if (field.dataType !== 'TEXTBOX_LIST' || option !== undefined) return { [key]: null }
  return Object.fromEntries((field.options ?? []).map((one) => [`${shortKeyOf(schema, field)}.${one.key}`, null]))
}

function checkValue(target: Target, { field, option }: Slot, key: string, value: unknown): unknown {
  if (field.dataType === 'TEXTBOX_LIST' && option === undefined) throw unexpectedFormat(field)
  const next = findRule(field)(value, field, target.record.properties[key])
  if (field.unique === true && next !== null) verifyUnique(target, field.name, key, next)
  return next
}

/** HighLevel answers a duplicate value with 400, not 409. */
function verifyUnique({ record, records }: Target, name: string, key: string, value: unknown): void {
  for (const other of records) {
    if (other === record || other.locationId !== record.locationId || other.properties[key] !== value) continue
    const message = `A record with the same value for ${name} - ${String(value)} already exists.`
    const errors = [{ errorCode: 'duplicate_record', message, field: key }]
    throw new Refusal(400, { message, errors, statusCode: 400 })
  }
}
