import Type, { type TSchema } from 'typebox'
import { didYouMean } from '../../shared/did-you-mean.ts'
import { isObject } from '../../shared/json.ts'
import type { Delta, Field, FieldReport, FieldType } from './field.ts'
import { deltaOf, listSchema, readList } from './lists.ts'
import { TEXT_PATTERN } from './text-rules.ts'

const MAX_LISTED = 10
const MAX_SHOWN_CHARS = 100

/**
 * The key to send for a key or a label. It must be the key: HighLevel silently stores a label, or any other string, and
 * then shows no option.
 */
const optionKey = ({ options, allowsCustom }: Field, text: string): string | undefined =>
  // Where HighLevel lists no options, any string passes except the empty one, which HighLevel stores as null.
  options.keyOf.get(text) ?? (text !== '' && (allowsCustom || options.all.length === 0) ? text : undefined)

function unknownOption({ name, options }: Field, text: string): string {
  const near = didYouMean(text, options.keyOf.keys())
  if (near !== undefined) return `is not an option of ${name}: did you mean "${options.keyOf.get(near)}"?`
  const listed = options.all.slice(0, MAX_LISTED).map(({ key }) => `"${key.slice(0, MAX_SHOWN_CHARS)}"`)
  const more = options.all.length > listed.length ? ', …' : ''
  return `is not an option of ${name}: use one of ${listed.join(', ')}${more}`
}

function readOption(value: unknown, field: Field, report: FieldReport, path?: string): string | undefined {
  if (typeof value !== 'string') {
    report.addError('wrong-type', `must be a string: the key of an option of ${field.name}`, path)
    return undefined
  }
  const key = optionKey(field, value)
  if (key === undefined) report.addError('unknown-option', () => unknownOption(field, value), path)
  return key
}

const nonEmptyString = () => Type.String({ minLength: 1, pattern: TEXT_PATTERN })

const optionSchema = ({ options, allowsCustom }: Field): TSchema => {
  const literals: TSchema[] = options.all.map(({ key, label }) => Type.Literal(key, { title: label }))
  if (literals.length === 0) return nonEmptyString()
  return Type.Union(allowsCustom ? [...literals, nonEmptyString()] : literals)
}

export const singleOption: FieldType = {
  translate: readOption,
  schema: optionSchema
}

const stringsIn = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []

/** Whether a list field still holds a value of its former type. A delta cannot change that: only null clears it. */
export const isOfFormerType = (stored: unknown): boolean =>
  stored !== undefined && stored !== null && stored !== '' && !Array.isArray(stored)

/** Removes a label beside its key where the caller named the label: other clients may have stored the label itself. */
function alsoRemoveLabels(delta: Delta | undefined, value: unknown, field: Field): Delta | undefined {
  if (delta?.remove === undefined || !isObject(value)) return delta
  const labels = stringsIn(value['remove']).filter((text) => (optionKey(field, text) ?? text) !== text)
  return labels.length === 0 ? delta : { ...delta, remove: [...delta.remove, ...new Set(labels)] }
}

export const multipleOptions: FieldType = {
  translate(value, field, report) {
    const delta = readList(value, report, {
      itemNoun: 'options',
      readAdded: (item, path) => readOption(item, field, report, path),
      // Any string can be removed: the record may hold leftovers, options that the field no longer offers.
      readRemoved: (item, path) =>
        typeof item === 'string' && item !== ''
          ? (optionKey(field, item) ?? item)
          : readOption(item, field, report, path),
      identity: (key) => key
    })
    return alsoRemoveLabels(delta, value, field)
  },
  clear: (_, report) => report.addWantedList([]),
  diff(wanted, stored, field) {
    if (wanted.length === 0 && isOfFormerType(stored)) return null
    const storedTexts = stringsIn(stored)
    // A stored string may be a label or a leftover. It is compared by key, but removed exactly as it is stored.
    const storedKeys = storedTexts.map((text) => optionKey(field, text) ?? text)
    const [isStored, isWanted] = [new Set<unknown>(storedKeys), new Set(wanted)]
    return deltaOf(
      wanted.filter((key) => !isStored.has(key)),
      storedTexts.filter((_, i) => !isWanted.has(storedKeys[i]))
    )
  },
  schema: (field) => listSchema(optionSchema(field), nonEmptyString())
}
