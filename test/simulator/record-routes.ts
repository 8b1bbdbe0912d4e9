import { type Answer, requestRefusal } from './answers.ts'
import { isJson, parseJson } from './bodies.ts'
import { applyUserDelta, isObject } from './delta.ts'
import type { ReceivedRequest } from './journal.ts'
import { findObject } from './objects.ts'
import { applyProperties } from './properties.ts'
import { findRecord, type StoredRecord } from './records.ts'
import type { World } from './world.ts'
import { applyQuirks } from './write-quirks.ts'

const MEMBERS = new Set(['properties', 'owners', 'followers'])
const MAX_OWNERS = 1
const MAX_FOLLOWERS = 10

/** GET /objects/:schemaKey/records/:id. Answers with `owners` and `follower`, a PUT with `owner` and `followers`. */
export function readRecord(world: World, { query }: ReceivedRequest, schemaKey: string, id: string): Answer {
  const { schema } = findObject(world, schemaKey, query['locationId'])
  const { owner, followers, locationId: _, ...record } = findRecord(world, schema.key, id, query['locationId'])
  return { status: 200, body: { record: { ...record, owners: owner, follower: followers } } }
}

/** PUT /objects/:schemaKey/records/:id. Checks the whole request before it stores anything. */
export function updateRecord(world: World, request: ReceivedRequest, schemaKey: string, id: string): Answer {
  if (!isJson(request)) throw requestRefusal(415, 'Unsupported Media Type')
  const body = parseJson(request)
  const locationId = request.query['locationId']
  verifyMembers(body, locationId)
  const { schema, slots } = findObject(world, schemaKey, locationId)
  const record = findRecord(world, schema.key, id, locationId)
  if (schema.standard) rejectUsers(body)

  const owner = applyUserDelta('owners', body['owners'], record.owner, MAX_OWNERS)
  const followers = applyUserDelta('followers', body['followers'], record.followers, MAX_FOLLOWERS)
  const target = { schema, slots, record, records: world.records.all(schema.key) }
  const changes = propertiesOf(body)
  const { writeQuirks } = world
  const properties = applyQuirks(writeQuirks, slots, changes, record.properties, applyProperties(target, changes))

  const { locationId: _, ...old } = record
  Object.assign(record, { properties, dateUpdated: nextUpdateDate(record, world.settings.recordNow()) })
  if (!writeQuirks.has('keep-users')) Object.assign(record, { owner, followers })
  world.journal.addStored(request)
  const { locationId: _id, ...shown } = record
  return { status: 200, body: { record: writeQuirks.has('answer-old') ? old : shown } }
}

/** The location belongs in the query. A location in the body does not replace it, and is rejected beside it. */
function verifyMembers(body: Record<string, unknown>, locationId: string | undefined): void {
  if (locationId === undefined && body['locationId'] !== undefined) {
    throw requestRefusal(422, ['locationId must be a string', 'locationId should not be empty'])
  }
  const unknown = Object.keys(body).filter((member) => !MEMBERS.has(member))
  if (unknown.length > 0) throw requestRefusal(422, unknown.map(shouldNotExist))
}

/** Owners and followers are documented for custom objects only. How standard objects reject them is a guess. */
function rejectUsers(body: Record<string, unknown>): void {
  const given = ['owners', 'followers'].filter((member) => body[member] !== undefined)
  if (given.length > 0) throw requestRefusal(422, given.map(shouldNotExist))
}

const shouldNotExist = (member: string) => `property ${member} should not exist`

function propertiesOf({ properties = {} }: Record<string, unknown>): Record<string, unknown> {
  if (!isObject(properties)) throw requestRefusal(422, ['properties must be an object'])
  return properties
}

/** Two writes in the same millisecond still get different dates, in order. */
const nextUpdateDate = ({ dateUpdated }: StoredRecord, now: number): string =>
  new Date(Math.max(now, Date.parse(dateUpdated) + 1)).toISOString()
