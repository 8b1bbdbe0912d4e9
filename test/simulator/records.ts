import { requestRefusal } from './answers.ts'
import type { World } from './world.ts'

export interface StoredRecord {
  id: string
  locationId: string
  owner: string[]
  followers: string[]
  /** Short field keys; a cleared field holds null. */
  properties: Record<string, unknown>
  dateAdded: string
  dateUpdated: string
  relations: unknown[]
  createdBy: { source: string; channel: string; sourceId: string; createdAt: string }
}

/** A record to be stored; what is left out gets a plain value. */
export type RecordInput = Partial<StoredRecord> & { id: string }

interface Deps {
  now: () => number
  locationId: string
}

/** The records of every object. An id belongs to one location, the given one unless the record says otherwise. */
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
      const plain = { id: record.id, locationId, owner: [], followers: [], properties: {}, relations: [], createdBy }
      tableOf(objectKey).set(record.id, { ...plain, dateAdded: at, dateUpdated: at, ...record })
    }
  }
}

/** @throws Refusal 400 for an id that is none, 404 (or what is set) for a record that this location does not have. */
export function findRecord(world: World, objectKey: string, id: string, locationId: string | undefined): StoredRecord {
  if (!/^[0-9a-f]{24}$/i.test(id)) throw requestRefusal(400, `${id} is not a valid ObjectId`)
  const record = world.records.find(objectKey, id)
  if (record?.locationId !== locationId || record === undefined) {
    throw requestRefusal(world.settings.absentRecordStatus, `Record with id ${id} not found`)
  }
  return record
}
