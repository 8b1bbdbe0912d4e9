import { isObject } from './delta.ts'
import type { Slot } from './objects.ts'

type Properties = Record<string, unknown>

interface Written {
  key: string
  slot: Slot
  /** The value in the request body. */
  sent: unknown
  before: unknown
  /** The value that a write without quirks would store. */
  next: unknown
}

/** Returns the value that is stored instead of `next`. */
type WriteQuirk = (written: Written) => unknown

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
const deltaPart = (sent: unknown, name: 'add' | 'remove'): unknown[] => (isObject(sent) ? list(sent[name]) : [])
const identityOf = (one: unknown) => (isObject(one) ? one['url'] : one)
const isChange = (sent: unknown) => isObject(sent) && ('add' in sent || 'remove' in sent)
const isFiles = ({ slot }: Written) => slot.field.dataType === 'FILE_UPLOAD'

const dropAdded = ({ sent, before, next }: Written) => {
  const [added, held] = [deltaPart(sent, 'add').map(identityOf), list(before).map(identityOf)]
  return list(next).filter((one) => !added.includes(identityOf(one)) || held.includes(identityOf(one)))
}

const rewrittenUrl = (file: unknown) =>
  isObject(file) && String(file['url']).startsWith('https://files.')
    ? { ...file, url: `https://storage.googleapis.com/msgsndr/${Buffer.from(String(file['url'])).toString('hex')}` }
    : file

/** How HighLevel may change the notation of a value, by data type. */
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

/**
 * What HighLevel may do to values of a write that it answers with 200. All of these lose something that was sent,
 * except `format`, which stores the same value in another notation.
 */
const QUIRKS = {
  'drop-added-options': (written) => (isChange(written.sent) && !isFiles(written) ? dropAdded(written) : written.next),
  'drop-added-files': (written) => (isChange(written.sent) && isFiles(written) ? dropAdded(written) : written.next),
  'keep-removed': ({ sent, before, next }) => {
    if (!isChange(sent)) return next
    const removed = deltaPart(sent, 'remove').map(identityOf)
    return [...list(before).filter((one) => removed.includes(identityOf(one))), ...list(next)]
  },
  'store-other-option': ({ slot: { field }, next }) =>
    field.dataType === 'SINGLE_OPTIONS' || field.dataType === 'RADIO'
      ? field.options?.find(({ key }) => key !== next)?.key
      : next,
  'keep-cleared': ({ sent, before, next }) => (sent === null ? before : next),
  'keep-old': ({ before }) => before,
  format: ({ slot, next }) => (next === null || next === '' ? next : (FORMATS[slot.field.dataType]?.(next) ?? next))
} satisfies Record<string, WriteQuirk>

export type WriteQuirkName = keyof typeof QUIRKS | 'hide-written' | 'keep-users' | 'answer-old'

const quirks: Record<string, WriteQuirk> = QUIRKS

/** The properties as they are stored: `after`, the result of the write, changed by the active quirks. */
export function applyQuirks(
  kinds: ReadonlySet<WriteQuirkName>,
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
      const quirk = quirks[kind]
      if (quirk !== undefined) stored[key] = quirk({ key, slot, sent, before: before[key] ?? null, next: stored[key] })
      else if (kind === 'hide-written') delete stored[key]
    }
  }
  return stored
}
