import type { RecordRef } from '../highlevel/record-ref.ts'
import type { FieldError } from '../problems/problem.ts'
import type { ObjectSchema } from '../schemas/object-schema.ts'
import { type PropertiesPlan, planProperties, planUnchecked, resolveWanted } from '../schemas/plan-properties.ts'
import { type AssigneesDelta, assigneesDelta, followersOf, hasConflict, isWantedList, ownersOf } from './assignees.ts'
import type { RecordPatch } from './schemas.ts'

/** Which of its two services to a write the gateway does. */
export interface WriteRules {
  /** `SCHEMA_VALIDATION`: values are checked against the location's object. */
  checks: boolean
  /** `WRITE_DIALECT`: values are put into the form that HighLevel takes. */
  translates: boolean
}

/** The body of HighLevel's PUT. What is undefined is left out of it. */
export interface WriteBody {
  properties?: Record<string, unknown> | undefined
  owners?: unknown
  followers?: unknown
}

export interface WritePlan {
  errors: readonly FieldError[]
  /** What the properties come to; `undefined` where they go as they came. */
  properties: PropertiesPlan | undefined
  translates: boolean
  /** The body cannot be told without the record as it is. */
  needsRecord: boolean
}

const none: readonly FieldError[] = []

const usersMembers = ['owner', 'followers'] as const

const conflict = (member: string): FieldError => ({
  pointer: `/${member}`,
  code: 'conflict',
  detail: 'holds a user who is both added and removed'
})

const misplaced = (member: string): FieldError => ({
  pointer: `/${member}`,
  code: 'not-allowed',
  detail: 'must be left out: a standard object such as business has no owner and no followers'
})

/** HighLevel documents owners and followers for custom objects alone. */
function memberFaults({ schemaKey }: RecordRef, patch: RecordPatch, schema: ObjectSchema | undefined) {
  if (patch.owner === undefined && patch.followers === undefined) return none
  if (!(schema?.isStandard ?? schemaKey === 'business')) {
    return usersMembers.filter((member) => hasConflict(patch[member])).map(conflict)
  }
  return usersMembers.filter((member) => patch[member] !== undefined).map(misplaced)
}

/** What is to be written, as far as it can be told without the record. */
export function planWrite(
  { checks, translates }: WriteRules,
  ref: RecordRef,
  patch: RecordPatch,
  schema: ObjectSchema | undefined
): WritePlan {
  const { properties, owner, followers } = patch
  const plan = checks ? planProperties : planUnchecked
  const planned = properties && schema && plan(schema, properties)
  const misplacedFaults = checks ? memberFaults(ref, patch, schema) : none
  const found = planned?.errors ?? none
  return {
    errors: misplacedFaults.length === 0 ? found : [...found, ...misplacedFaults],
    properties: translates ? planned : undefined,
    translates,
    needsRecord:
      translates && ((planned?.wantedLists.length ?? 0) > 0 || isWantedList(owner) || isWantedList(followers))
  }
}

/** The body of the write, given the record where the plan needs it; `undefined` where there is nothing to change. */
export function bodyOf(
  { properties: planned, translates }: WritePlan,
  { properties, owner, followers }: RecordPatch,
  current: Record<string, unknown> | undefined
): WriteBody | undefined {
  if (!translates) return { properties, owners: owner, followers }
  const changed = planned === undefined ? properties : resolveWanted(planned, heldProperties(current))
  const owners: AssigneesDelta | undefined = owner && assigneesDelta(owner, current ? ownersOf(current) : [])
  const others: AssigneesDelta | undefined = followers && assigneesDelta(followers, current ? followersOf(current) : [])
  if (changed === undefined && owners === undefined && others === undefined) return undefined
  return { properties: changed, owners, followers: others }
}

/** What a record holds, as far as an answer shows it. */
export function heldProperties(record: Record<string, unknown> | undefined): Record<string, unknown> {
  const held = record?.['properties']
  return typeof held === 'object' && held !== null ? (held as Record<string, unknown>) : {}
}
