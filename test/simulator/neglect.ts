import { isObject } from './delta.ts'
import type { Slot } from './objects.ts'

type Properties = Record<string, unknown>

interface Written {
  key: string
  slot: Slot
  /** As it came in the body. */
  sent: unknown
  before: unknown
  /** What is to be stored. */
  next: unknown
}

/** What is left of a value, or of all of it. */
type Neglect = (written: Written) => unknown

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
const half = (sent: unknown, name: 'add' | 'remove'): unknown[] => (isObject(sent) ? list(sent[name]) : [])
const nameOf = (one: unknown) => (isObject(one) ? one['url'] : one)
const isChange = (sent: unknown) => isObject(sent) && ('add' in sent || 'remove' in sent)
const isFiles = ({ slot }: Written) => slot.field.dataType === 'FILE_UPLOAD'

const dropAdded = ({ sent, before, next }: Written) => {
  const [added, held] = [half(sent, 'add').map(nameOf), list(before).map(nameOf)]
  return list(next).filter((one) => !added.includes(nameOf(one)) || held.includes(nameOf(one)))
}

const rewrittenUrl = (file: unknown) =>
  isObject(file) && String(file['url']).startsWith('https://files.')
    ? { ...file, url: `https://storage.googleapis.com/msgsndr/${Buffer.from(String(file['url'])).toString('hex')}` }
    : file

/** How HighLevel may write a value of a data type in its own way. */
const FORMATS: Record<string, (value: unknown) => unknown> = {
  TEXT: (value) => String(value).trim(),
  LARGE_TEXT: (value) => String(value).trim().replaceAll('\r\n', '\n'),
  STANDARD_FIELD: (value) => String(value).trim(),
  EMAIL: (value) => String(value).trim().toLowerCase(),
  PHONE: (value) => String(value).replace(/^\+1(\d{3})(\d{3})(\d{4})$/, '($1) $2-$3'),
  NUMERICAL: String,
  DATE: (value) => `${value}T00:00:00.000Z`,
  MONETORY: (value) => (isObject(value) ? { ...value, currency: 'USD', value: String(value['value']) } : value),
  FILE_UPLOAD: (value) => list(value).map(rewrittenUrl)
}

/** What HighLevel may leave undone of a write that it answers with 200, and `format`, which is no neglect. */
const NEGLECTS = {
  'drop-added-options': (written) => (isChange(written.sent) && !isFiles(written) ? dropAdded(written) : written.next),
  'drop-added-files': (written) => (isChange(written.sent) && isFiles(written) ? dropAdded(written) : written.next),
  'keep-removed': ({ sent, before, next }) => {
    if (!isChange(sent)) return next
    const removed = half(sent, 'remove').map(nameOf)
    return [...list(before).filter((one) => removed.includes(nameOf(one))), ...list(next)]
  },
  'store-other-option': ({ slot: { field }, next }) =>
    field.dataType === 'SINGLE_OPTIONS' || field.dataType === 'RADIO'
      ? field.options?.find(({ key }) => key !== next)?.key
      : next,
  'keep-cleared': ({ sent, before, next }) => (sent === null ? before : next),
  'keep-old': ({ before }) => before,
  format: ({ slot, next }) => (next === null || next === '' ? next : (FORMATS[slot.field.dataType]?.(next) ?? next))
} satisfies Record<string, Neglect>

export type NeglectKind = keyof typeof NEGLECTS | 'hide-written' | 'keep-users' | 'answer-old'

const neglects: Record<string, Neglect> = NEGLECTS

/** What is stored of the written properties. */
export function neglected(
  kinds: ReadonlySet<NeglectKind>,
  slots: ReadonlyMap<string, Slot>,
  changes: Properties,
  before: Properties,
  after: Properties
): Properties {
  const stored = { ...after }
  for (const [key, sent] of Object.entries(changes)) {
    const slot = slots.get(key)
    if (slot === undefined) continue
    for (const kind of kinds) {
      const neglect = neglects[kind]
      if (neglect !== undefined)
        stored[key] = neglect({ key, slot, sent, before: before[key] ?? null, next: stored[key] })
      else if (kind === 'hide-written') delete stored[key]
    }
  }
  return stored
}
