import type { Users } from './schemas.ts'

/** HighLevel's form of a change of users. */
export interface UsersDelta {
  add?: readonly string[]
  remove?: readonly string[]
}

const isList = (users: Users): users is readonly string[] => Array.isArray(users)

/** Whether HighLevel's form can only be told from the record as it is now. */
export const needsRecord = (users: Users | undefined): boolean => users !== undefined && isList(users)

/** Reads answer with `owners` or `owner`, `followers` or `follower`, depending on the endpoint. */
const currentUsers = (record: Record<string, unknown>, names: readonly string[]): readonly string[] => {
  const held = names.map((name) => record[name]).find(Array.isArray)
  return (held ?? []).filter((id): id is string => typeof id === 'string')
}

export const ownersOf = (record: Record<string, unknown>) => currentUsers(record, ['owners', 'owner'])
export const followersOf = (record: Record<string, unknown>) => currentUsers(record, ['followers', 'follower'])

const once = (ids: readonly string[]): readonly string[] => [...new Set(ids)]

/** Somebody is to be added and removed. */
export const isConflict = (users: Users | undefined): boolean => {
  if (users === undefined || isList(users)) return false
  const { add, remove = [] } = users
  return add?.some((id) => remove.includes(id)) ?? false
}

/** The change that makes `current` the wanted users; `undefined` where there is nothing to change. */
export function usersDelta(wanted: Users, current: readonly string[]): UsersDelta | undefined {
  const { add = [], remove = [] } = isList(wanted)
    ? { add: wanted.filter((id) => !current.includes(id)), remove: current.filter((id) => !wanted.includes(id)) }
    : wanted
  if (add.length === 0 && remove.length === 0) return undefined
  return { ...(add.length > 0 && { add: once(add) }), ...(remove.length > 0 && { remove: once(remove) }) }
}
