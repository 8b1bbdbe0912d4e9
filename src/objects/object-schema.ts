import { hash } from 'node:crypto'
import type { Field, Option } from './field.ts'
import { typeOf, withBoxes } from './field-types.ts'

/** A location's object, as far as writes of its records depend on it. */
export interface ObjectSchema {
  /** `custom_objects.<name>`, or a standard one such as `business`. */
  readonly key: string
  readonly isStandard: boolean
  readonly title: string
  readonly description: string | undefined
  /** By the names under which `properties` hold them. */
  readonly fields: ReadonlyMap<string, Field>
  /** The same for the same content. */
  readonly digest: string
}

type Members = Record<string, unknown>

const members = (value: unknown): Members => (typeof value === 'object' && value !== null ? (value as Members) : {})
const word = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

function readOptions(value: unknown): readonly Option[] {
  return (Array.isArray(value) ? value : []).flatMap((one: unknown) => {
    const { key, label } = members(one)
    const name = word(key)
    return name === undefined ? [] : [{ key: name, label: word(label) ?? name }]
  })
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
  return {
    key: short,
    name: word(name) ?? short,
    dataType: type,
    type: typeOf(type),
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
    title: word(members(labels)['singular']) ?? objectKey,
    description: word(description)
  }
  const content = JSON.stringify([about, read])
  return { ...about, fields: withBoxes(read), digest: hash('sha256', content, 'base64url').slice(0, 22) }
}

/** The field that a caller means: by its short key, or by the full one that HighLevel shows elsewhere. */
export function fieldOf({ key: objectKey, fields }: ObjectSchema, name: string): Field | undefined {
  const field = fields.get(name)
  if (field !== undefined || !name.startsWith(objectKey) || name[objectKey.length] !== '.') return field
  return fields.get(name.slice(objectKey.length + 1))
}
