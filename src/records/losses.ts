import type { ObjectSchema } from '../objects/object-schema.ts'
import { type Fault, Problem } from '../problems.ts'
import { pointerOf } from './rejection.ts'
import type { RecordPatch } from './schemas.ts'

type Properties = Record<string, unknown>

/** As many faults as an answer shows of any kind. */
const MAX_FAULTS = 50
/** Longer changes are not looked through: the first of them tell enough. */
const MAX_ADDED = 100

const none: readonly string[] = []

const propertiesIn = (record: Properties): Properties | undefined => {
  const held = record['properties']
  return typeof held === 'object' && held !== null ? (held as Properties) : undefined
}

/** Whether something was to be stored. A change of a list that only takes away may leave nothing. */
function isFilled(value: unknown): boolean {
  if (value === null || value === undefined || value === '') return false
  if (typeof value !== 'object') return true
  if ('remove' in value || 'add' in value) return 'add' in value && Array.isArray(value.add) && value.add.length > 0
  for (const _ in value) return true
  return false
}

/** The day that HighLevel has made of an empty text. */
const isEpoch = (sent: unknown, stored: unknown) =>
  sent === '' && typeof stored === 'string' && stored.startsWith('1970-01-01')

/** What was to be stored, and is shown as empty in HighLevel's answer: shapes that do not fit a field it stores as null. */
export function lostIn(sent: Properties | undefined, record: Properties): readonly string[] {
  const stored = propertiesIn(record)
  if (sent === undefined || stored === undefined) return none
  let lost: string[] | undefined
  for (const key of Object.keys(sent)) {
    const value = stored[key]
    if (value !== null ? !isEpoch(sent[key], value) : !isFilled(sent[key])) continue
    lost ??= []
    if (lost.push(key) === MAX_FAULTS) break
  }
  return lost ?? none
}

/** Whether a list lacks what was added to it: an option that is none any more is left out without a word. */
export function lacksAdded(sent: Properties | undefined, record: Properties): boolean {
  const stored = propertiesIn(record)
  if (sent === undefined || stored === undefined) return false
  for (const key of Object.keys(sent)) {
    const change = sent[key]
    const list = stored[key]
    if (typeof change !== 'object' || change === null || !('add' in change) || !Array.isArray(change.add)) continue
    if (!Array.isArray(list) || change.add.length > MAX_ADDED) continue
    for (const one of change.add) if (typeof one === 'string' && !list.includes(one)) return true
  }
  return false
}

export const lossFaults = (
  lost: readonly string[],
  patch: RecordPatch,
  schema: ObjectSchema | undefined
): readonly Fault[] =>
  lost.map((key) => ({
    pointer: pointerOf(key, patch, schema),
    code: 'not-stored',
    detail: 'was taken by HighLevel, and not stored: the field is empty now'
  }))

export const lossProblem = (errors: readonly Fault[]): Problem =>
  new Problem('upstream-rejected', 'HighLevel took the call, and emptied fields that were to be filled', {
    errors,
    applied: 'unknown'
  })
