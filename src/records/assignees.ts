import type { Assignees, RecordPatch } from './request-schemas.ts'

/** A change to owners or followers, in HighLevel's form. */
export interface AssigneesDelta {
  add?: readonly string[]
  remove?: readonly string[]
}

const isList = (assignees: Assignees): assignees is readonly string[] => Array.isArray(assignees)

/** A wanted list needs the stored record to become a delta. */
export const isWantedList = (assignees: Assignees | undefined): boolean => assignees !== undefined && isList(assignees)

type StoredRecord = Record<string, unknown>

/** HighLevel's answers name the members differently, depending on the endpoint. */
const memberNames = { owner: ['owners', 'owner'], followers: ['followers', 'follower'] } as const

const storedList = (record: StoredRecord, member: keyof typeof memberNames): readonly unknown[] | undefined =>
  memberNames[member].map((name) => record[name]).find(Array.isArray)

const storedIds = (record: StoredRecord, member: keyof typeof memberNames): readonly string[] =>
  (storedList(record, member) ?? []).filter((id): id is string => typeof id === 'string')

export const ownersOf = (record: StoredRecord) => storedIds(record, 'owner')
export const followersOf = (record: StoredRecord) => storedIds(record, 'followers')

const unique = (ids: readonly string[]): readonly string[] => [...new Set(ids)]

/** Whether a delta adds and removes the same user. */
export const hasConflict = (assignees: Assignees | undefined): boolean => {
  if (assignees === undefined || isList(assignees)) return false
  const { add, remove = [] } = assignees
  return add?.some((id) => remove.includes(id)) ?? false
}

/** The delta from `current` to the wanted assignees. `undefined` where nothing changes. */
export function assigneesDelta(wanted: Assignees, current: readonly string[]): AssigneesDelta | undefined {
  const { add = [], remove = [] } = isList(wanted)
    ? { add: wanted.filter((id) => !current.includes(id)), remove: current.filter((id) => !wanted.includes(id)) }
    : wanted
  if (add.length === 0 && remove.length === 0) return undefined
  return { ...(add.length > 0 && { add: unique(add) }), ...(remove.length > 0 && { remove: unique(remove) }) }
}

/**
 * The members whose assignees differ from the patch. A member for which the record shows no list of ids is left out.
 */
export const unstoredAssignees = (
  patch: RecordPatch,
  record: StoredRecord,
  before: StoredRecord = {}
): readonly ('owner' | 'followers')[] =>
  (['owner', 'followers'] as const).filter((member) => {
    const [wanted, stored] = [patch[member], storedList(record, member)]
    if (wanted === undefined || stored === undefined || !stored.every((id) => typeof id === 'string')) return false
    // Only the delta of a wanted list counts: others may have added a user since.
    const { add = [], remove = [] } = assigneesDelta(wanted, storedIds(before, member)) ?? {}
    return add.some((id) => !stored.includes(id)) || remove.some((id) => stored.includes(id) && !add.includes(id))
  })
