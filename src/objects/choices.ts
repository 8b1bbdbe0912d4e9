import Type, { type TSchema } from 'typebox'
import { nearest } from '../shared/nearest.ts'
import type { Field, FieldType, Notes } from './field.ts'
import { deltaOf, listSchema, readList } from './lists.ts'

const MAX_LISTED = 10

/** HighLevel stores a label, or any other text, without a word, and then shows no option: only the key will do. */
function keyOf({ options, allowsCustom }: Field, text: string): string | undefined {
  for (const { key } of options) if (key === text) return key
  for (const { key, label } of options) if (label === text) return key
  // An object whose options are not told takes them as they come.
  return (allowsCustom && text !== '') || options.length === 0 ? text : undefined
}

function unknownOption({ name, options }: Field, text: string): string {
  const names = options.flatMap(({ key, label }) => (label === key ? [key] : [key, label]))
  const near = nearest(text, names)
  if (near !== undefined) {
    const { key } = options.find(({ label }) => label === near) ?? { key: near }
    return `is not an option of ${name}: did you mean "${key}"?`
  }
  const listed = options.slice(0, MAX_LISTED).map(({ key }) => `"${key}"`)
  const more = options.length > listed.length ? ', …' : ''
  return `is not an option of ${name}: it takes ${listed.join(', ')}${more}`
}

function readOption(value: unknown, field: Field, notes: Notes, path?: string): string | undefined {
  if (typeof value !== 'string') {
    notes.fault('wrong-type', `must be the key of an option of ${field.name}, a text`, path)
    return undefined
  }
  const key = keyOf(field, value)
  if (key === undefined) notes.fault('unknown-option', unknownOption(field, value), path)
  return key
}

const optionSchema = ({ options, allowsCustom }: Field): TSchema => {
  const literals: TSchema[] = options.map(({ key, label }) => Type.Literal(key, { title: label }))
  if (literals.length === 0) return Type.String()
  return Type.Union(allowsCustom ? [...literals, Type.String({ minLength: 1 })] : literals)
}

/** One option. */
export const choice: FieldType = {
  read: readOption,
  schema: optionSchema
}

const texts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : []

/** Any number of options. */
export const choices: FieldType = {
  read: (value, field, notes) =>
    readList(value, notes, {
      of: 'options',
      entry: (one, path) => readOption(one, field, notes, path),
      identity: (key) => key
    }),
  clear: (_, notes) => notes.want([]),
  difference(wanted, stored, field) {
    const held = texts(stored)
    // What is stored may be a label, or an option that there is no longer: it goes by the name under which it is held.
    const keys = held.map((text) => keyOf(field, text) ?? text)
    return deltaOf(
      wanted.filter((key) => !keys.includes(String(key))),
      held.filter((_, i) => !wanted.includes(keys[i]))
    )
  },
  schema: (field) => listSchema(optionSchema(field))
}
