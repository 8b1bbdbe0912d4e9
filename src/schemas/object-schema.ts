import { hash } from 'node:crypto'
import type { Field, Option, Options } from './fields/field.ts'
import { fieldTypeOf, findUnlistedBox, indexByKey, NO_OPTIONS } from './fields/field-types.ts'

/** A location's object, as far as writes of its records depend on it. */
export interface ObjectSchema {
  /** `custom_objects.<name>`, or a standard one such as `business`. */
  readonly key: string
  readonly isStandard: boolean
  readonly title: string
  readonly description: string | undefined
  /** By the names under which `properties` hold them. */
  readonly fields: ReadonlyMap<string, Field>
  /** The same for the same content, whatever the order of its fields and options. */
  readonly digest: string
  /** How many characters of content it is made from. */
  readonly chars: number
}

type Members = Record<string, unknown>

const members = (value: unknown): Members => (typeof value === 'object' && value !== null ? (value as Members) : {})
/** Texts for people are kept up to a length: they end up in sentences. */
const MAX_NAME_CHARS = 200
const MAX_DESCRIPTION_CHARS = 1_000
/** What a text box takes as a field of its own, in characters of content. */
const BOX_CHARS = 200
const clipped = (text: string | undefined, most = MAX_NAME_CHARS) => text?.slice(0, most)

const word = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

function readOptions(value: unknown): Options {
  if (!Array.isArray(value) || value.length === 0) return NO_OPTIONS
  const keyOf = new Map<string, string>()
  const all = value.flatMap((one: unknown): Option[] => {
    const { key, label } = members(one)
    const name = word(key)
    if (name === undefined || keyOf.has(name)) return []
    keyOf.set(name, name)
    return [{ key: name, label: clipped(word(label)) ?? name }]
  })
  for (const { key, label } of all) if (!keyOf.has(label)) keyOf.set(label, key)
  return { all, keyOf }
}

/** `custom_objects.ticket.money` is `money`. HighLevel's documents write the prefix in several ways. */
const shortKey = (objectKey: string, fieldKey: string): string =>
  fieldKey.startsWith(`${objectKey}.`)
    ? fieldKey.slice(objectKey.length + 1)
    : fieldKey.replace(/^custom_objects?\.[^.]+\./, '')

function readField(value: unknown, objectKey: string): Field | undefined {
  const { fieldKey, name, dataType, options, allowCustomOption, maxFileLimit } = members(value)
  const key = word(fieldKey)
  const type = word(dataType)
  if (key === undefined || type === undefined) return undefined
  const short = shortKey(objectKey, key)
  // No object could hold a member of that name.
  if (short === '__proto__') return undefined
  return {
    key: short,
    name: clipped(word(name)) ?? short,
    dataType: type,
    type: fieldTypeOf(type),
    options: readOptions(options),
    allowsCustom: allowCustomOption === true,
    maxFiles:
      typeof maxFileLimit === 'number' && maxFileLimit >= 1 ? Math.floor(maxFileLimit) : Number.POSITIVE_INFINITY
  }
}

/** Reads HighLevel's answer to `GET /objects/:key?fetchProperties=true`; `undefined` where it is none. */
export function readObjectSchema(body: unknown): ObjectSchema | undefined {
  const { object, fields } = members(body)
  const { key, standard, labels, description } = members(object)
  const objectKey = word(key)
  if (objectKey === undefined || !Array.isArray(fields)) return undefined
  const read = fields.flatMap((field) => readField(field, objectKey) ?? [])
  const about = {
    key: objectKey,
    isStandard: standard === true,
    title: clipped(word(members(labels)['singular'])) ?? objectKey,
    description: clipped(word(description), MAX_DESCRIPTION_CHARS)
  }
  const content = contentOf(about, read)
  const digest = hash('sha256', content, 'base64url').slice(0, 22)
  const byName = indexByKey(read)
  return { ...about, fields: byName, digest, chars: content.length + (byName.size - read.length) * BOX_CHARS }
}

const byKey = (a: { key: string }, b: { key: string }) => (a.key < b.key ? -1 : 1)

/** What two copies of one object have in common. */
const contentOf = (about: object, fields: readonly Field[]): string => {
  const shown = fields.map(({ type: _, options, ...field }) => ({ ...field, options: options.all.toSorted(byKey) }))
  return JSON.stringify([about, shown.sort(byKey)])
}

/** The field that a caller means: by its short key, or by the full one that HighLevel shows elsewhere. */
export function fieldOf({ key: objectKey, fields }: ObjectSchema, name: string): Field | undefined {
  const field = fields.get(name)
  if (field !== undefined) return field
  const isFull = name.startsWith(objectKey) && name[objectKey.length] === '.'
  const short = isFull ? name.slice(objectKey.length + 1) : name
  return fields.get(short) ?? findUnlistedBox(fields, short)
}
