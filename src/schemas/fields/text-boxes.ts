import Type from 'typebox'
import { didYouMean } from '../../shared/did-you-mean.ts'
import { escapePointerToken, isObject } from '../../shared/json.ts'
import type { Field, FieldType } from './field.ts'
import { MAX_KEY_CHARS, TEXT_PATTERN } from './text-rules.ts'

function unknownBox({ name, options }: Field, text: string): string {
  const near = didYouMean(text, options.keyOf.keys())
  return `is not a box of ${name}${near === undefined ? '' : `: did you mean "${options.keyOf.get(near)}"?`}`
}

/** Where HighLevel lists no boxes, any name passes. */
const boxKey = ({ options }: Field, name: string): string | undefined =>
  options.keyOf.get(name) ?? (options.all.length === 0 && name !== '' ? name : undefined)

const boxSchema = (annotations = {}) => Type.Union([Type.String({ pattern: TEXT_PATTERN }), Type.Null()], annotations)

/**
 * A list of text boxes. HighLevel's `properties` hold each box under `<field>.<option>`, and a write must set them one
 * by one. Boxes that a write does not name keep their strings.
 */
export const textBoxes: FieldType = {
  translate(value, field, report) {
    if (!isObject(value)) {
      return report.addError('wrong-type', `must be an object with a string for each box of ${field.name} to change`)
    }
    for (const [name, text] of Object.entries(value)) {
      const key = boxKey(field, name)
      const path = `/${escapePointerToken(name)}`
      if (key === undefined) report.addError('unknown-option', () => unknownBox(field, name), path)
      else if (text === null || typeof text === 'string') report.setProperty(`${field.key}.${key}`, text)
      else report.addError('wrong-type', 'must be a string or null', path)
    }
    return undefined
  },
  clear(field, report) {
    if (field.options.all.length === 0) return null
    for (const { key } of field.options.all) report.setProperty(`${field.key}.${key}`, null)
    return undefined
  },
  schema: ({ options }) =>
    options.all.length === 0
      ? Type.Unsafe<Record<string, string | null>>({
          type: 'object',
          propertyNames: { minLength: 1, maxLength: MAX_KEY_CHARS, pattern: TEXT_PATTERN },
          additionalProperties: boxSchema()
        })
      : Type.Object(
          Object.fromEntries(options.all.map(({ key, label }) => [key, Type.Optional(boxSchema({ title: label }))])),
          { additionalProperties: false }
        )
}
