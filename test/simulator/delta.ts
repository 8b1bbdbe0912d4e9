import { requestRefusal } from './answers.ts'

/** A change to a list: what goes and what comes. Both are lists, and each may be left out. */
export interface Delta {
  add: unknown[]
  remove: unknown[]
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value as a delta, or nothing where it has any other member or anything but lists. */
export function parseDelta(value: unknown): Delta | undefined {
  if (!isObject(value) || Object.keys(value).some((key) => key !== 'add' && key !== 'remove')) return undefined
  const { add = [], remove = [] } = value
  return Array.isArray(add) && Array.isArray(remove) ? { add, remove } : undefined
}

/** Removes, then adds. An element is the same where its identity is; doing it twice changes nothing. */
export function applyDelta<T>(current: T[], add: T[], remove: T[], identity: (element: T) => unknown): T[] {
  const removed = new Set(remove.map(identity))
  const next = new Map(current.filter((one) => !removed.has(identity(one))).map((one) => [identity(one), one]))
  for (const one of add) next.set(identity(one), one)
  return [...next.values()]
}

const isString = (value: unknown): value is string => typeof value === 'string'

/** `owners` and `followers` are deltas on update, unlike the plain arrays of a creation. The cap's text is a guess. */
export function applyUserDelta(name: 'owners' | 'followers', value: unknown, current: string[], max: number): string[] {
  if (value === undefined) return current
  if (!isObject(value)) throw requestRefusal(422, [`${name} must be an object`])
  const delta = parseDelta(value)
  if (delta === undefined || !delta.add.every(isString) || !delta.remove.every(isString)) {
    throw requestRefusal(422, [`${name}.add must be an array`, `${name}.remove must be an array`])
  }
  const next = applyDelta(current, delta.add, delta.remove, (id) => id)
  if (next.length > max) throw requestRefusal(422, [`${name} must contain no more than ${max} elements`])
  return next
}
