import type { Assignees, RecordPatch } from './schemas.ts'

/** HighLevel's form of a change of users. */
export interface AssigneesDelta {
  add?: readonly string[]
  remove?: readonly string[]
}

const isList = (users: Assignees): users is readonly string[] => Array.isArray(users)

/** Whether HighLevel's form can only be told from the record as it is now. */
export const needsRecord = (users: Assignees | undefined): boolean => users !== undefined && isList(users)

type Held = Record<string, unknown>

/** Reads answer with `owners` or `owner`, `followers` or `follower`, depending on the endpoint. */
const memberNames = { owner: ['owners', 'owner'], followers: ['followers', 'follower'] } as const

const shownUsers = (record: Held, member: keyof typeof memberNames): readonly unknown[] | undefined =>
  memberNames[member].map((name) => record[name]).find(Array.isArray)

const currentUsers = (record: Held, member: keyof typeof memberNames): readonly string[] =>
  (shownUsers(record, member) ?? []).filter((id): id is string => typeof id === 'string')

export const ownersOf = (record: Held) => currentUsers(record, 'owner')
export const followersOf = (record: Held) => currentUsers(record, 'followers')

const once = (ids: readonly string[]): readonly string[] => [...new Set(ids)]

/** Somebody is to be added and removed. */
export const isConflict = (users: Assignees | undefined): boolean => {
  if (users === undefined || isList(users)) return false
  const { add, remove = [] } = users
  return add?.some((id) => remove.includes(id)) ?? false
}

/** The change that makes `current` the wanted users; `undefined` where there is nothing to change. */
export function assigneesDelta(wanted: Assignees, current: readonly string[]): AssigneesDelta | undefined {
  const { add = [], remove = [] } = isList(wanted)
    ? { add: wanted.filter((id) => !current.includes(id)), remove: current.filter((id) => !wanted.includes(id)) }
    : wanted
  if (add.length === 0 && remove.length === 0) return undefined
  return { ...(add.length > 0 && { add: once(add) }), ...(remove.length > 0 && { remove: once(remove) }) }
}

/** Members whose users a record does not show as asked. One that shows no list of ids says nothing of them. */
export const unstoredAssignees = (
  patch: RecordPatch,
  record: Held,
  before: Held = {}
): readonly ('owner' | 'followers')[] =>
  (['owner', 'followers'] as const).filter((member) => {
    const [wanted, shown] = [patch[member], shownUsers(record, member)]
    if (wanted === undefined || shown === undefined || !shown.every((id) => typeof id === 'string')) return false
    // Of a wanted list only the change counts: others may have added somebody since.
    const { add = [], remove = [] } = assigneesDelta(wanted, currentUsers(before, member)) ?? {}
    return add.some((id) => !shown.includes(id)) || remove.some((id) => shown.includes(id) && !add.includes(id))
  })
