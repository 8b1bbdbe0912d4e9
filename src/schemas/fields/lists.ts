import Type, { type TSchema } from 'typebox'
import { isObject } from '../../shared/json.ts'
import type { Delta, FieldReport } from './field.ts'

/** Reads one item of a list. Reports its errors; `undefined` if it cannot be used. */
type ReadItem<Item> = (value: unknown, path: string, report: FieldReport) => Item | undefined

interface ListRules<Item> {
  /** Names the items in error details: `options`. */
  itemNoun: string
  readAdded: ReadItem<Item>
  readRemoved: ReadItem<Item>
  /** Items of equal identity are duplicates. */
  identity: (item: Item) => unknown
}

/** Reads the items and drops duplicates. Leaves out invalid items after reporting them. */
function readItems<Item>(
  list: readonly unknown[],
  path: string,
  report: FieldReport,
  readItem: ReadItem<Item>,
  identity: ListRules<Item>['identity']
): Item[] {
  const items: Item[] = []
  const seen = list.length > 1 ? new Set<unknown>() : undefined
  for (let i = 0; i < list.length; i += 1) {
    const item = readItem(list[i], `${path}/${i}`, report)
    if (item === undefined || seen?.has(identity(item))) continue
    seen?.add(identity(item))
    items.push(item)
  }
  return items
}

const noItems: readonly never[] = []

function readDeltaPart<Item>(
  value: unknown,
  part: 'add' | 'remove',
  report: FieldReport,
  rules: ListRules<Item>
): readonly Item[] {
  const readItem = part === 'add' ? rules.readAdded : rules.readRemoved
  if (Array.isArray(value)) return readItems(value, `/${part}`, report, readItem, rules.identity)
  if (value !== undefined) report.addError('wrong-type', `must be a list of ${rules.itemNoun}`, `/${part}`)
  return noItems
}

/**
 * Reads a wanted list or a delta. HighLevel accepts only deltas: it rejects a plain list, although its own reads return
 * one, and a plain string empties the field.
 */
export function readList<Item>(value: unknown, report: FieldReport, rules: ListRules<Item>): Delta | undefined {
  if (Array.isArray(value)) {
    report.addWantedList(readItems(value, '', report, rules.readAdded, rules.identity))
    return undefined
  }
  if (!isObject(value) || !('add' in value || 'remove' in value)) {
    report.addError('wrong-type', `must be a list of ${rules.itemNoun}, { "add": [...], "remove": [...] } or null`)
    return undefined
  }
  for (const member of Object.keys(value)) {
    if (member !== 'add' && member !== 'remove') {
      report.addError('wrong-type', `must have only the members add and remove, each a list of ${rules.itemNoun}`)
    }
  }
  const add = readDeltaPart(value['add'], 'add', report, rules)
  const remove = readDeltaPart(value['remove'], 'remove', report, rules)
  if (add.length > 0 && remove.length > 0) {
    const added = new Set(add.map(rules.identity))
    if (remove.some((item) => added.has(rules.identity(item)))) {
      report.addError('conflict', 'adds and removes the same item')
    }
  }
  return deltaOf(add, remove)
}

/** `undefined` where nothing changes. */
export function deltaOf(add: readonly unknown[], remove: readonly unknown[]): Delta | undefined {
  if (add.length === 0) return remove.length === 0 ? undefined : { remove }
  return remove.length === 0 ? { add } : { add, remove }
}

/** The JSON Schema of a wanted list or a delta. */
export function listSchema(added: TSchema, removed: TSchema, maxItems?: number): TSchema {
  const list = Type.Array(added, maxItems === undefined ? {} : { maxItems })
  const delta = Type.Object(
    { add: Type.Optional(list), remove: Type.Optional(Type.Array(removed)) },
    { additionalProperties: false, minProperties: 1 }
  )
  return Type.Union([list, delta])
}
