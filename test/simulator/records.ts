import { requestRefusal } from './answers.ts'
import type { World } from './world.ts'

export interface StoredRecord {
  id: string
  locationId: string
  owner: string[]
  followers: string[]
  /** By short field key. A cleared field is null. */
  properties: Record<string, unknown>
  dateAdded: string
  dateUpdated: string
  relations: unknown[]
  createdBy: { source: string; channel: string; sourceId: string; createdAt: string }
}

/** A record to store. Missing members get defaults. */
export type RecordInput = Partial<StoredRecord> & { id: string }

interface Deps {
  now: () => number
  locationId: string
}

/** The records of all objects. A record belongs to `locationId` unless it names another location. */
export function createRecords({ now, locationId }: Deps) {
  const tables = new Map<string, Map<string, StoredRecord>>()

  function tableOf(objectKey: string): Map<string, StoredRecord> {
    const table = tables.get(objectKey) ?? new Map<string, StoredRecord>()
    tables.set(objectKey, table)
    return table
  }

  return {
    find: (objectKey: string, id: string): StoredRecord | undefined => tableOf(objectKey).get(id),
    all: (objectKey: string): Iterable<StoredRecord> => tableOf(objectKey).values(),
    put(objectKey: string, record: RecordInput): void {
      const at = new Date(now()).toISOString()
      const createdBy = { source: 'WEB_USER', channel: 'APP', sourceId: 'sx6wyHhbFdRXh302Lunr', createdAt: at }
      const defaults = { id: record.id, locationId, owner: [], followers: [], properties: {}, relations: [], createdBy }
      tableOf(objectKey).set(record.id, { ...defaults, dateAdded: at, dateUpdated: at, ...record })
    }
  }
}

/** @throws Refusal 400 for an invalid id, 404 (or the configured status) if the location has no such record */
export function findRecord(world: World, objectKey: string, id: string, locationId: string | undefined): StoredRecord {
  if (!/^[0-9a-f]{24}$/i.test(id)) throw requestRefusal(400, `${id} is not a valid ObjectId`)
  const record = world.records.find(objectKey, id)
  if (record?.locationId !== locationId || record === undefined) {
    throw requestRefusal(world.settings.absentRecordStatus, `Record with id ${id} not found`)
  }
  return record
}
