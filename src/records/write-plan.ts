import type { RecordRef } from '../highlevel/record-ref.ts'
import type { FieldError } from '../problems/problem.ts'
import type { ObjectSchema } from '../schemas/object-schema.ts'
import {
  formerTypeErrors,
  type PropertiesPlan,
  planProperties,
  planUnchecked,
  resolveWanted
} from '../schemas/plan-properties.ts'
import { type AssigneesDelta, assigneesDelta, followersOf, hasConflict, isWantedList, ownersOf } from './assignees.ts'
import type { RecordPatch } from './request-schemas.ts'

/** Which of the two steps of a write are switched on. */
export interface WriteRules {
  /** `SCHEMA_VALIDATION`: check values against the schema of the object. */
  checks: boolean
  /** `WRITE_DIALECT`: translate values into HighLevel's form. */
  translates: boolean
}

/** The body of HighLevel's PUT. Undefined members are not serialized. */
export interface WriteBody {
  properties?: Record<string, unknown> | undefined
  owners?: unknown
  followers?: unknown
}

export interface WritePlan {
  errors: readonly FieldError[]
  /** `undefined` where the properties are sent verbatim. */
  properties: PropertiesPlan | undefined
  translates: boolean
  /** The body depends on the stored record. */
  needsRecord: boolean
}

const noErrors: readonly FieldError[] = []

const assigneeMembers = ['owner', 'followers'] as const

const conflictError = (member: string): FieldError => ({
  pointer: `/${member}`,
  code: 'conflict',
  detail: 'adds and removes the same user'
})

const notAllowedError = (member: string): FieldError => ({
  pointer: `/${member}`,
  code: 'not-allowed',
  detail: 'must be left out: a standard object such as business has no owner or followers'
})

/** HighLevel documents owners and followers for custom objects only. */
function assigneeErrors({ schemaKey }: RecordRef, patch: RecordPatch, schema: ObjectSchema | undefined) {
  if (patch.owner === undefined && patch.followers === undefined) return noErrors
  if (!(schema?.isStandard ?? schemaKey === 'business')) {
    return assigneeMembers.filter((member) => hasConflict(patch[member])).map(conflictError)
  }
  return assigneeMembers.filter((member) => patch[member] !== undefined).map(notAllowedError)
}

/** Plans the write as far as possible without the stored record. */
export function planWrite(
  { checks, translates }: WriteRules,
  ref: RecordRef,
  patch: RecordPatch,
  schema: ObjectSchema | undefined
): WritePlan {
  const { properties, owner, followers } = patch
  const plan = checks ? planProperties : planUnchecked
  const planned = properties && schema && plan(schema, properties)
  const memberErrors = checks ? assigneeErrors(ref, patch, schema) : noErrors
  const propertyErrors = planned?.errors ?? noErrors
  return {
    errors: memberErrors.length === 0 ? propertyErrors : [...propertyErrors, ...memberErrors],
    properties: translates ? planned : undefined,
    translates,
    needsRecord:
      translates && ((planned?.wantedLists.length ?? 0) > 0 || isWantedList(owner) || isWantedList(followers))
  }
}

/** The errors that show only once the stored record is known. */
export const storedErrors = (
  { checks }: WriteRules,
  { properties }: WritePlan,
  record: Record<string, unknown>
): readonly FieldError[] => (checks && properties ? formerTypeErrors(properties, storedProperties(record)) : noErrors)

/** The body of the write. `current` is the stored record, if the plan needs it. `undefined` where nothing changes. */
export function buildBody(
  { properties: planned, translates }: WritePlan,
  { properties, owner, followers }: RecordPatch,
  current: Record<string, unknown> | undefined
): WriteBody | undefined {
  if (!translates) return { properties, owners: owner, followers }
  const changed = planned === undefined ? properties : resolveWanted(planned, storedProperties(current))
  const ownersDelta: AssigneesDelta | undefined = owner && assigneesDelta(owner, current ? ownersOf(current) : [])
  const followersDelta: AssigneesDelta | undefined =
    followers && assigneesDelta(followers, current ? followersOf(current) : [])
  if (changed === undefined && ownersDelta === undefined && followersDelta === undefined) return undefined
  return { properties: changed, owners: ownersDelta, followers: followersDelta }
}

/** The properties of a record in HighLevel's answer. */
export function storedProperties(record: Record<string, unknown> | undefined): Record<string, unknown> {
  const properties = record?.['properties']
  return typeof properties === 'object' && properties !== null ? (properties as Record<string, unknown>) : {}
}
