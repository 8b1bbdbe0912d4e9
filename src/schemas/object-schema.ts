import { hash } from 'node:crypto'
import type { Field, Option, Options } from './fields/field.ts'
import { fieldTypeOf, findUnlistedBox, indexByKey, NO_OPTIONS } from './fields/field-types.ts'

/** A location's object: what the gateway must know to write its records. */
export interface ObjectSchema {
  /** `custom_objects.<name>`, or a standard object such as `business`. */
  readonly key: string
  readonly isStandard: boolean
  readonly title: string
  readonly description: string | undefined
  /** By the keys that `properties` uses. */
  readonly fields: ReadonlyMap<string, Field>
  /** Equal for equal content, whatever the order of fields and options. */
  readonly digest: string
  /** The size of the content, in characters. */
  readonly chars: number
}

type Members = Record<string, unknown>

const membersOf = (value: unknown): Members => (typeof value === 'object' && value !== null ? (value as Members) : {})
/** Names and descriptions are truncated: they appear in error details. */
const MAX_NAME_CHARS = 200
const MAX_DESCRIPTION_CHARS = 1_000
/** What a text box costs as a field of its own, in characters of content. */
const BOX_CHARS = 200
const truncate = (text: string | undefined, maxChars = MAX_NAME_CHARS) => text?.slice(0, maxChars)

const nonEmptyString = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

function readOptions(value: unknown): Options {
  if (!Array.isArray(value) || value.length === 0) return NO_OPTIONS
  const keyOf = new Map<string, string>()
  const all = value.flatMap((item: unknown): Option[] => {
    const members = membersOf(item)
    const key = nonEmptyString(members['key'])
    if (key === undefined || keyOf.has(key)) return []
    keyOf.set(key, key)
    return [{ key, label: truncate(nonEmptyString(members['label'])) ?? key }]
  })
  for (const { key, label } of all) if (!keyOf.has(label)) keyOf.set(label, key)
  return { all, keyOf }
}

/** Turns `custom_objects.ticket.money` into `money`. HighLevel's documents spell the prefix in several ways. */
const shortKey = (objectKey: string, fieldKey: string): string =>
  fieldKey.startsWith(`${objectKey}.`)
    ? fieldKey.slice(objectKey.length + 1)
    : fieldKey.replace(/^custom_objects?\.[^.]+\./, '')

function readField(value: unknown, objectKey: string): Field | undefined {
  const { fieldKey, name, dataType, options, allowCustomOption, maxFileLimit } = membersOf(value)
  const fullKey = nonEmptyString(fieldKey)
  const typeName = nonEmptyString(dataType)
  if (fullKey === undefined || typeName === undefined) return undefined
  const key = shortKey(objectKey, fullKey)
  // Assigning this member would set a prototype instead.
  if (key === '__proto__') return undefined
  return {
    key,
    name: truncate(nonEmptyString(name)) ?? key,
    dataType: typeName,
    type: fieldTypeOf(typeName),
    options: readOptions(options),
    allowsCustom: allowCustomOption === true,
    maxFiles:
      typeof maxFileLimit === 'number' && maxFileLimit >= 1 ? Math.floor(maxFileLimit) : Number.POSITIVE_INFINITY
  }
}

/** Reads HighLevel's answer to `GET /objects/:key?fetchProperties=true`. `undefined` if it has another form. */
export function readObjectSchema(body: unknown): ObjectSchema | undefined {
  const { object, fields: fieldList } = membersOf(body)
  const { key, standard, labels, description } = membersOf(object)
  const objectKey = nonEmptyString(key)
  if (objectKey === undefined || !Array.isArray(fieldList)) return undefined
  const fields = fieldList.flatMap((field) => readField(field, objectKey) ?? [])
  const about = {
    key: objectKey,
    isStandard: standard === true,
    title: truncate(nonEmptyString(membersOf(labels)['singular'])) ?? objectKey,
    description: truncate(nonEmptyString(description), MAX_DESCRIPTION_CHARS)
  }
  const content = contentOf(about, fields)
  const digest = hash('sha256', content, 'base64url').slice(0, 22)
  const byKey = indexByKey(fields)
  return { ...about, fields: byKey, digest, chars: content.length + (byKey.size - fields.length) * BOX_CHARS }
}

const compareKeys = (a: { key: string }, b: { key: string }) => (a.key < b.key ? -1 : 1)

/** What the digest covers, in an order of its own. */
const contentOf = (about: object, fields: readonly Field[]): string => {
  const sorted = fields.map(({ type: _, options, ...field }) => ({
    ...field,
    options: options.all.toSorted(compareKeys)
  }))
  return JSON.stringify([about, sorted.sort(compareKeys)])
}

/** Finds a field by its short key or by its full key, the one that HighLevel shows elsewhere. */
export function fieldOf({ key: objectKey, fields }: ObjectSchema, name: string): Field | undefined {
  const field = fields.get(name)
  if (field !== undefined) return field
  const isFull = name.startsWith(objectKey) && name[objectKey.length] === '.'
  const key = isFull ? name.slice(objectKey.length + 1) : name
  return fields.get(key) ?? findUnlistedBox(fields, key)
}
