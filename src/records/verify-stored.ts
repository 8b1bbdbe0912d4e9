import { type FieldError, Problem } from '../problems/problem.ts'
import { fieldOf, type ObjectSchema } from '../schemas/object-schema.ts'
import { isObject } from '../shared/json.ts'
import { unstoredAssignees } from './assignees.ts'
import { createPointerLookup } from './error-pointers.ts'
import { isSameValue } from './same-value.ts'
import type { RecordPatch } from './schemas.ts'
import { keepsOption, lacksFileChange, lacksOption } from './verify-lists.ts'
import { heldProperties } from './write-plan.ts'

type Properties = Record<string, unknown>

/** What was asked of HighLevel. */
export interface Asked {
  /** As they were sent. */
  properties: Properties | undefined
  patch: RecordPatch
  schema: ObjectSchema | undefined
  /** The record as it was read for the write. */
  before: Properties | undefined
}

/** What a record does not show of what was asked. */
export interface UnstoredValue {
  /** HighLevel's key of a field, or the member `owner` or `followers`. */
  key: string
  isMember: boolean
  /** The field holds nothing. */
  isEmpty: boolean
}

const none: readonly UnstoredValue[] = []

/** As many faults as an answer shows of any kind. */
const MAX_LOSSES = 50

/** Whether something was to be stored. A change of a list that only takes away may leave nothing. */
function isFilled(value: unknown): boolean {
  if (value === null || value === undefined) return false
  if (typeof value === 'string') return value.trim() !== ''
  if (typeof value !== 'object') return true
  if ('remove' in value || 'add' in value) return 'add' in value && Array.isArray(value.add) && value.add.length > 0
  for (const _ in value) return true
  return false
}

/** In whatever way HighLevel shows a field that holds nothing; a field that is left out holds nothing too. */
const isEmpty = (stored: unknown): boolean =>
  stored === null || stored === undefined || stored === '' || (Array.isArray(stored) && stored.length === 0)

/** What an empty number, amount or switch may look like. A day of 1970 is none: it is what an empty date has become. */
const isCleared = (stored: unknown): boolean =>
  isEmpty(stored) ||
  stored === 0 ||
  stored === false ||
  (typeof stored === 'string' && stored.trim() === '') ||
  (isObject(stored) && Object.entries(stored).every(([name, value]) => name === 'currency' || isCleared(value)))

/** A field may be called as a member is that every object inherits, such as `constructor`. */
const own = (held: Properties, key: string): unknown => (Object.hasOwn(held, key) ? held[key] : undefined)

/** Of a list that only HighLevel knows the boxes of, each box is a member of its own. */
const hasFilledBox = (stored: Properties, list: string): boolean =>
  Object.keys(stored).some((key) => key.startsWith(`${list}.`) && !isCleared(stored[key]))

/** What is sent for a box may be shown within its list. */
const isShownWithin = (stored: Properties, key: string): boolean => {
  const dot = key.lastIndexOf('.')
  return dot > 0 && !isEmpty(own(stored, key.slice(0, dot)))
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

function isLost(key: string, sent: unknown, stored: Properties, { schema, before }: Asked): boolean {
  const field = schema && fieldOf(schema, key)
  // By a full key only where the fields are not known, or values go as they came.
  const value = own(stored, key) ?? own(stored, field?.key ?? key.replace(/^custom_objects?\.[^.]+\./, ''))
  if (sent === null || sent === '') return !isCleared(value) || (sent === null && hasFilledBox(stored, key))
  if (isEmpty(value)) return isFilled(sent) && !(value === undefined && isShownWithin(stored, key))
  if (!isObject(sent) || !('add' in sent || 'remove' in sent)) return isFilled(sent) && !isSameValue(sent, value, field)
  // Of a field that is no list nothing is known.
  if (!Array.isArray(value)) return false
  const [add, remove] = [listOf(sent['add']), listOf(sent['remove'])]
  if (!isObject(add[0] ?? remove[0])) return keepsOption(remove, add, value) || lacksOption(add, value, field)
  return lacksFileChange(add, remove, value, listOf(before && own(heldProperties(before), key)))
}

/** On the path of every write: nothing is made where all is as it was sent. */
export function findUnstored(asked: Asked, record: Properties): readonly UnstoredValue[] {
  const { properties = {}, patch, before } = asked
  const stored = heldProperties(record)
  let losses: UnstoredValue[] | undefined
  for (const key in properties) {
    const sent = properties[key]
    if (sent === undefined || (sent !== null && sent !== '' && sent === stored[key])) continue
    if (!isLost(key, sent, stored, asked)) continue
    losses ??= []
    if (losses.push({ key, isMember: false, isEmpty: isEmpty(own(stored, key)) }) === MAX_LOSSES) return losses
  }
  if (patch.owner === undefined && patch.followers === undefined) return losses ?? none
  return [
    ...(losses ?? none),
    ...unstoredAssignees(patch, record, before).map((key) => ({ key, isMember: true, isEmpty: false }))
  ]
}

export function unstoredErrors(
  losses: readonly UnstoredValue[],
  patch: RecordPatch,
  schema: ObjectSchema | undefined
): readonly FieldError[] {
  const pointerOf = createPointerLookup(patch, schema)
  return losses.map(({ key, isMember, isEmpty: isNothing }) => ({
    pointer: isMember ? `/${key}` : pointerOf(key),
    code: 'not-stored',
    detail: isNothing
      ? 'was taken by HighLevel, and not stored: the field is empty now'
      : 'was taken by HighLevel, and not stored: the record shows something else'
  }))
}

export const unstoredProblem = (errors: readonly FieldError[]): Problem =>
  new Problem('upstream-rejected', 'HighLevel took the call, and the record does not show all that was asked', {
    errors,
    applied: 'unknown'
  })
