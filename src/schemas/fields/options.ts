import Type, { type TSchema } from 'typebox'
import { didYouMean } from '../../shared/did-you-mean.ts'
import { isObject } from '../../shared/is-object.ts'
import type { Delta, Field, FieldReport, FieldType } from './field.ts'
import { deltaOf, listSchema, readList } from './lists.ts'
import { TEXT } from './text-rules.ts'

const MAX_LISTED = 10
const MAX_SHOWN_CHARS = 100

/** HighLevel stores a label, or any other text, without a word, and then shows no option: only the key will do. */
const keyIn = ({ options, allowsCustom }: Field, text: string): string | undefined =>
  // A field whose options are not told takes them as they come, but for an empty one, which HighLevel stores as null.
  options.keyOf.get(text) ?? (text !== '' && (allowsCustom || options.all.length === 0) ? text : undefined)

function unknownOption({ name, options }: Field, text: string): string {
  const near = didYouMean(text, options.keyOf.keys())
  if (near !== undefined) return `is not an option of ${name}: did you mean "${options.keyOf.get(near)}"?`
  const listed = options.all.slice(0, MAX_LISTED).map(({ key }) => `"${key.slice(0, MAX_SHOWN_CHARS)}"`)
  const more = options.all.length > listed.length ? ', …' : ''
  return `is not an option of ${name}: it takes ${listed.join(', ')}${more}`
}

function readOption(value: unknown, field: Field, notes: FieldReport, path?: string): string | undefined {
  if (typeof value !== 'string') {
    notes.fault('wrong-type', `must be the key of an option of ${field.name}, a text`, path)
    return undefined
  }
  const key = keyIn(field, value)
  if (key === undefined) notes.fault('unknown-option', () => unknownOption(field, value), path)
  return key
}

const someText = () => Type.String({ minLength: 1, pattern: TEXT })

const optionSchema = ({ options, allowsCustom }: Field): TSchema => {
  const literals: TSchema[] = options.all.map(({ key, label }) => Type.Literal(key, { title: label }))
  if (literals.length === 0) return someText()
  return Type.Union(allowsCustom ? [...literals, someText()] : literals)
}

/** One option. */
export const choice: FieldType = {
  read: readOption,
  schema: optionSchema
}

const texts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : []

/** Left over from a time when the field had another type: a list is changed by its entries, and this has none. */
export const isLeftover = (stored: unknown): boolean =>
  stored !== undefined && stored !== null && stored !== '' && !Array.isArray(stored)

/** An option goes by its label too where it is removed by it: others than this gateway may have had the label stored. */
function withLabels(change: Delta | undefined, value: unknown, field: Field): Delta | undefined {
  if (change?.remove === undefined || !isObject(value)) return change
  const labels = texts(value['remove']).filter((text) => (keyIn(field, text) ?? text) !== text)
  return labels.length === 0 ? change : { ...change, remove: [...change.remove, ...new Set(labels)] }
}

/** Any number of options. */
export const choices: FieldType = {
  read(value, field, notes) {
    const change = readList(value, notes, {
      of: 'options',
      entry: (one, path) => readOption(one, field, notes, path),
      // What is held may be of a time when the field had other options.
      leaving: (one, path) =>
        typeof one === 'string' && one !== '' ? (keyIn(field, one) ?? one) : readOption(one, field, notes, path),
      identity: (key) => key
    })
    return withLabels(change, value, field)
  },
  clear: (_, notes) => notes.want([]),
  difference(wanted, stored, field) {
    if (wanted.length === 0 && isLeftover(stored)) return null
    const held = texts(stored)
    // What is stored may be a label, or an option that there is no longer: it goes by the name under which it is held.
    const keys = held.map((text) => keyIn(field, text) ?? text)
    const [isHeld, isWanted] = [new Set<unknown>(keys), new Set(wanted)]
    return deltaOf(
      wanted.filter((key) => !isHeld.has(key)),
      held.filter((_, i) => !isWanted.has(keys[i]))
    )
  },
  schema: (field) => listSchema(optionSchema(field), someText())
}
