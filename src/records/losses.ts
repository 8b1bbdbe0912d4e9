import type { ObjectSchema } from '../objects/object-schema.ts'
import { type Fault, Problem } from '../problems.ts'
import { createPointerOf } from './rejection.ts'
import type { RecordPatch } from './schemas.ts'
import { heldProperties } from './write-plan.ts'

type Properties = Record<string, unknown>

/** What HighLevel's answer shows of the properties that were sent to it. */
export interface Comparison {
  /** Keys of what was to be stored, and is empty: shapes that do not fit a field HighLevel stores as null. */
  lost: readonly string[]
  /** A list lacks what was added to it: an option that is none any more is left out without a word. */
  isDoubtful: boolean
}

const asSent: Comparison = { lost: [], isDoubtful: false }

/** As many faults as an answer shows of any kind. */
const MAX_FAULTS = 50
/** Longer changes are not looked through: the first of them tell enough. */
const MAX_ADDED = 100

/** Whether something was to be stored. A change of a list that only takes away may leave nothing. */
function isFilled(value: unknown): boolean {
  if (value === null || value === undefined) return false
  if (typeof value === 'string') return value.trim() !== ''
  if (typeof value !== 'object') return true
  if ('remove' in value || 'add' in value) return 'add' in value && Array.isArray(value.add) && value.add.length > 0
  for (const _ in value) return true
  return false
}

/** In whatever way HighLevel shows a field that holds nothing. */
const isEmpty = (stored: unknown) => stored === null || stored === '' || (Array.isArray(stored) && stored.length === 0)

/** The day that HighLevel has made of an empty text. */
const isEpoch = (sent: unknown, stored: unknown) =>
  sent === '' && typeof stored === 'string' && stored.startsWith('1970-01-01')

const lacksAdded = (change: unknown, list: unknown): boolean =>
  typeof change === 'object' &&
  change !== null &&
  'add' in change &&
  Array.isArray(change.add) &&
  Array.isArray(list) &&
  change.add.length <= MAX_ADDED &&
  change.add.some((one: unknown) => typeof one === 'string' && !list.includes(one))

/** On the path of every write: nothing is made where all is as it was sent. */
export function compare(sent: Properties | undefined, record: Properties): Comparison {
  if (sent === undefined) return asSent
  const stored = heldProperties(record)
  let lost: string[] | undefined
  let isDoubtful = false
  for (const key of Object.keys(sent)) {
    const change = sent[key]
    const value = stored[key]
    if (isEmpty(value) ? isFilled(change) : isEpoch(change, value)) {
      lost ??= []
      if (lost.push(key) === MAX_FAULTS) break
    } else if (lacksAdded(change, value)) isDoubtful = true
  }
  return lost === undefined && !isDoubtful ? asSent : { lost: lost ?? [], isDoubtful }
}

export function lossFaults(
  lost: readonly string[],
  patch: RecordPatch,
  schema: ObjectSchema | undefined
): readonly Fault[] {
  const pointerOf = createPointerOf(patch, schema)
  return lost.map((key) => ({
    pointer: pointerOf(key),
    code: 'not-stored',
    detail: 'was taken by HighLevel, and not stored: the field is empty now'
  }))
}

export const lossProblem = (errors: readonly Fault[]): Problem =>
  new Problem('upstream-rejected', 'HighLevel took the call, and emptied fields that were to be filled', {
    errors,
    applied: 'unknown'
  })
