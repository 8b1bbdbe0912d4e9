import { requestRefusal } from './answers.ts'

/** A change to a list. In a request, each of the two may be missing. */
export interface Delta {
  add: unknown[]
  remove: unknown[]
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Parses a delta. `undefined` if the value has other members, or members that are not lists. */
export function parseDelta(value: unknown): Delta | undefined {
  if (!isObject(value) || Object.keys(value).some((key) => key !== 'add' && key !== 'remove')) return undefined
  const { add = [], remove = [] } = value
  return Array.isArray(add) && Array.isArray(remove) ? { add, remove } : undefined
}

/** Removes, then adds. Elements with the same identity are the same element. Applying a delta twice changes nothing. */
export function applyDelta<T>(current: T[], add: T[], remove: T[], identity: (element: T) => unknown): T[] {
  const removed = new Set(remove.map(identity))
  const next = new Map(current.filter((one) => !removed.has(identity(one))).map((one) => [identity(one), one]))
  for (const one of add) next.set(identity(one), one)
  return [...next.values()]
}

const isString = (value: unknown): value is string => typeof value === 'string'

/** Updates `owners` or `followers`: deltas here, plain arrays on creation. The message about the maximum is a guess. */
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
