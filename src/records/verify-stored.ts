import type { CallContext } from '../highlevel/call.ts'
import type { HighLevelClient, RecordAnswer } from '../highlevel/client.ts'
import type { RecordRef } from '../highlevel/record-ref.ts'
import { markUnknown } from '../highlevel/write-outcome.ts'
import { type FieldError, Problem } from '../problems/problem.ts'
import { fieldOf, type ObjectSchema } from '../schemas/object-schema.ts'
import { ownValue } from '../schemas/plan-properties.ts'
import { isObject } from '../shared/json.ts'
import { unstoredAssignees } from './assignees.ts'
import { createPointerLookup } from './error-pointers.ts'
import type { RecordPatch } from './request-schemas.ts'
import { isSameValue } from './same-value.ts'
import { lacksAddedOption, lacksFileChange, stillHoldsOption } from './verify-lists.ts'
import { storedProperties } from './write-plan.ts'

type Properties = Record<string, unknown>

/** A write as it was sent, for comparison with the record in HighLevel's answer. */
export interface SentWrite {
  /** In the form that was sent. */
  properties: Properties | undefined
  patch: RecordPatch
  schema: ObjectSchema | undefined
  /** The record that was read before the write, if one was. */
  before: Properties | undefined
}

/** A value of the write that the record does not show. */
export interface UnstoredValue {
  /** HighLevel's key of a field, or `owner` or `followers`. */
  key: string
  /** `key` is `owner` or `followers`. */
  isMember: boolean
  /** The record shows no value at all. */
  isEmpty: boolean
}

const noValues: readonly UnstoredValue[] = []

/** The same limit that other lists of errors have. */
const MAX_UNSTORED = 50

/** Whether the write must leave a value. A delta that only removes items may leave none. */
function leavesValue(value: unknown): boolean {
  if (value === null || value === undefined) return false
  if (typeof value === 'string') return value.trim() !== ''
  if (typeof value !== 'object') return true
  if ('remove' in value || 'add' in value) return 'add' in value && Array.isArray(value.add) && value.add.length > 0
  for (const _ in value) return true
  return false
}

/** HighLevel shows an empty field in several ways, or leaves it out. */
const isEmpty = (stored: unknown): boolean =>
  stored === null || stored === undefined || stored === '' || (Array.isArray(stored) && stored.length === 0)

/**
 * Also accepts 0, false and blank strings: an empty number, amount or checkbox may look like that. A date in 1970 does
 * not count as cleared: HighLevel has turned an empty date into one.
 */
const isCleared = (stored: unknown): boolean =>
  isEmpty(stored) ||
  stored === 0 ||
  stored === false ||
  (typeof stored === 'string' && stored.trim() === '') ||
  (isObject(stored) && Object.entries(stored).every(([name, value]) => name === 'currency' || isCleared(value)))

/** Where the schema lists no boxes of a field, each stored box is a property of its own. */
const hasFilledBox = (stored: Properties, list: string): boolean =>
  Object.keys(stored).some((key) => key.startsWith(`${list}.`) && !isCleared(stored[key]))

/** HighLevel may show a text box inside its list instead of as a property of its own. */
const isInsideList = (stored: Properties, key: string): boolean => {
  const dot = key.lastIndexOf('.')
  return dot > 0 && !isEmpty(ownValue(stored, key.slice(0, dot)))
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

function isUnstored(key: string, sent: unknown, stored: Properties, { schema, before }: SentWrite): boolean {
  const field = schema && fieldOf(schema, key)
  // Full keys remain only where the schema is unavailable or values are sent verbatim.
  const value = ownValue(stored, key) ?? ownValue(stored, field?.key ?? key.replace(/^custom_objects?\.[^.]+\./, ''))
  if (sent === null || sent === '') return !isCleared(value) || (sent === null && hasFilledBox(stored, key))
  if (isEmpty(value)) return leavesValue(sent) && !(value === undefined && isInsideList(stored, key))
  if (!isObject(sent) || !('add' in sent || 'remove' in sent))
    return leavesValue(sent) && !isSameValue(sent, value, field)
  // The stored value is not a list, so a delta cannot be compared with it.
  if (!Array.isArray(value)) return false
  const [add, remove] = [listOf(sent['add']), listOf(sent['remove'])]
  if (!isObject(add[0] ?? remove[0])) return stillHoldsOption(remove, add, value) || lacksAddedOption(add, value, field)
  return lacksFileChange(add, remove, value, listOf(before && ownValue(storedProperties(before), key)))
}

/** The values that the record does not show. Runs on every write, so it allocates nothing where all are stored. */
export function findUnstored(write: SentWrite, record: Properties): readonly UnstoredValue[] {
  const { properties = {}, patch, before } = write
  const stored = storedProperties(record)
  let unstored: UnstoredValue[] | undefined
  for (const key in properties) {
    const sent = properties[key]
    if (sent === undefined || (sent !== null && sent !== '' && sent === stored[key])) continue
    if (!isUnstored(key, sent, stored, write)) continue
    unstored ??= []
    if (unstored.push({ key, isMember: false, isEmpty: isEmpty(ownValue(stored, key)) }) === MAX_UNSTORED)
      return unstored
  }
  if (patch.owner === undefined && patch.followers === undefined) return unstored ?? noValues
  return [
    ...(unstored ?? noValues),
    ...unstoredAssignees(patch, record, before).map((key) => ({ key, isMember: true, isEmpty: false }))
  ]
}

const isSameKey = (a: UnstoredValue, b: UnstoredValue) => a.key === b.key && a.isMember === b.isMember

/**
 * Reads the record again after an answer that contradicts the write, because such an answer may be older than the
 * write. A value counts as unstored if the record shows it neither time. A value that showed once was stored, and
 * another writer has changed it since. A value that another writer changed earlier looks like one that was never
 * stored, and counts as unstored too. If the record cannot be read, the first answer stands.
 */
export async function confirmUnstored(
  upstream: HighLevelClient,
  ref: RecordRef,
  context: CallContext,
  write: SentWrite,
  answer: RecordAnswer,
  unstored: readonly UnstoredValue[]
): Promise<{ answer: RecordAnswer; unstored: readonly UnstoredValue[] }> {
  markUnknown(context)
  try {
    const again = await upstream.getRecord(ref, context)
    const isStillUnstored = (value: UnstoredValue) => unstored.some((other) => isSameKey(other, value))
    return { answer: again, unstored: findUnstored(write, again.record).filter(isStillUnstored) }
  } catch (error) {
    if (error instanceof Problem) return { answer, unstored }
    throw error
  }
}

export function unstoredErrors(
  unstored: readonly UnstoredValue[],
  patch: RecordPatch,
  schema: ObjectSchema | undefined
): readonly FieldError[] {
  const lookup = createPointerLookup(patch, schema)
  return unstored.map(({ key, isMember, isEmpty: fieldIsEmpty }) => ({
    pointer: isMember ? `/${key}` : lookup(key),
    code: 'not-stored',
    detail: fieldIsEmpty
      ? 'was accepted by HighLevel but not stored: the field is now empty'
      : 'was accepted by HighLevel but not stored: the record shows another value'
  }))
}

export const unstoredProblem = (errors: readonly FieldError[]): Problem =>
  new Problem('upstream-rejected', 'HighLevel accepted the write, but the record does not show all of its values', {
    errors
  })
