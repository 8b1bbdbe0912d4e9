import Type from 'typebox'
import { didYouMean } from '../../shared/did-you-mean.ts'
import { isObject } from '../../shared/is-object.ts'
import { pointerPart } from '../../shared/json-pointer.ts'
import type { Field, FieldType } from './field.ts'
import { MAX_KEY_CHARS, TEXT } from './text-rules.ts'

function unknownBox({ name, options }: Field, text: string): string {
  const near = didYouMean(text, options.keyOf.keys())
  return `is not a box of ${name}${near === undefined ? '' : `: did you mean "${options.keyOf.get(near)}"?`}`
}

/** Boxes that are not told are taken as they are named. */
const boxIn = ({ options }: Field, name: string): string | undefined =>
  options.keyOf.get(name) ?? (options.all.length === 0 && name !== '' ? name : undefined)

const boxText = (about = {}) => Type.Union([Type.String({ pattern: TEXT }), Type.Null()], about)

/**
 * The boxes of one field. HighLevel's `properties` hold each under `<field>.<option>`, and take them one by one alone;
 * those that are not named keep their texts.
 */
export const textBoxes: FieldType = {
  read(value, field, notes) {
    if (!isObject(value)) {
      return notes.fault('wrong-type', `must be an object of texts, one for each box of ${field.name} to change`)
    }
    for (const [name, text] of Object.entries(value)) {
      const box = boxIn(field, name)
      const path = `/${pointerPart(name)}`
      if (box === undefined) notes.fault('unknown-option', () => unknownBox(field, name), path)
      else if (text === null || typeof text === 'string') notes.set(`${field.key}.${box}`, text)
      else notes.fault('wrong-type', 'must be a text, or null', path)
    }
    return undefined
  },
  clear(field, notes) {
    if (field.options.all.length === 0) return null
    for (const { key } of field.options.all) notes.set(`${field.key}.${key}`, null)
    return undefined
  },
  schema: ({ options }) =>
    options.all.length === 0
      ? Type.Unsafe<Record<string, string | null>>({
          type: 'object',
          propertyNames: { minLength: 1, maxLength: MAX_KEY_CHARS, pattern: TEXT },
          additionalProperties: boxText()
        })
      : Type.Object(
          Object.fromEntries(options.all.map(({ key, label }) => [key, Type.Optional(boxText({ title: label }))])),
          { additionalProperties: false }
        )
}
