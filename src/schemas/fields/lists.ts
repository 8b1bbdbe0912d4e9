import Type, { type TSchema } from 'typebox'
import { isObject } from '../../shared/is-object.ts'
import type { Delta, FieldReport } from './field.ts'

/** Reads one entry of a list, and notes its faults. */
export type ReadEntry<Entry> = (value: unknown, path: string, notes: FieldReport) => Entry | undefined

interface ListOf<Entry> {
  /** Of what the list is, for a sentence: `options`. */
  of: string
  entry: ReadEntry<Entry>
  /** The same of an entry that is to be removed. */
  leaving: ReadEntry<Entry>
  /** What makes two entries the same one. */
  identity: (entry: Entry) => unknown
}

/** Entries without their repetitions; the faulty ones are left out, and noted. */
function readEntries<Entry>(
  list: readonly unknown[],
  path: string,
  notes: FieldReport,
  entry: ReadEntry<Entry>,
  identity: ListOf<Entry>['identity']
): Entry[] {
  const entries: Entry[] = []
  const seen = list.length > 1 ? new Set<unknown>() : undefined
  for (let i = 0; i < list.length; i += 1) {
    const read = entry(list[i], `${path}/${i}`, notes)
    if (read === undefined || seen?.has(identity(read))) continue
    seen?.add(identity(read))
    entries.push(read)
  }
  return entries
}

const nothing: readonly never[] = []

function readHalf<Entry>(
  value: unknown,
  name: 'add' | 'remove',
  notes: FieldReport,
  list: ListOf<Entry>
): readonly Entry[] {
  const entry = name === 'add' ? list.entry : list.leaving
  if (Array.isArray(value)) return readEntries(value, `/${name}`, notes, entry, list.identity)
  if (value !== undefined) notes.fault('wrong-type', `must be a list of ${list.of}`, `/${name}`)
  return nothing
}

/** HighLevel takes a change of a list; a list itself, as its reads give one, it refuses, and a bare text empties the field. */
export function readList<Entry>(value: unknown, notes: FieldReport, list: ListOf<Entry>): Delta | undefined {
  if (Array.isArray(value)) {
    notes.want(readEntries(value, '', notes, list.entry, list.identity))
    return undefined
  }
  if (!isObject(value) || !('add' in value || 'remove' in value)) {
    notes.fault('wrong-type', `must be the wanted list of ${list.of}, or { "add": [...], "remove": [...] }, or null`)
    return undefined
  }
  for (const member of Object.keys(value)) {
    if (member !== 'add' && member !== 'remove') {
      notes.fault('wrong-type', `may hold add and remove alone beside lists of ${list.of}`)
    }
  }
  const add = readHalf(value['add'], 'add', notes, list)
  const remove = readHalf(value['remove'], 'remove', notes, list)
  if (add.length > 0 && remove.length > 0) {
    const added = new Set(add.map(list.identity))
    if (remove.some((one) => added.has(list.identity(one)))) notes.fault('conflict', 'is both added and removed')
  }
  return deltaOf(add, remove)
}

/** `undefined` where nothing is changed. */
export function deltaOf(add: readonly unknown[], remove: readonly unknown[]): Delta | undefined {
  if (add.length === 0) return remove.length === 0 ? undefined : { remove }
  return remove.length === 0 ? { add } : { add, remove }
}

/** The schema of a list, or a change of it; `leaving` is of what may be removed. */
export function listSchema(entry: TSchema, leaving: TSchema, maxItems?: number): TSchema {
  const list = Type.Array(entry, maxItems === undefined ? {} : { maxItems })
  const delta = Type.Object(
    { add: Type.Optional(list), remove: Type.Optional(Type.Array(leaving)) },
    { additionalProperties: false, minProperties: 1 }
  )
  return Type.Union([list, delta])
}
