import Type from 'typebox'
import { pointerPart } from '../shared/json-pointer.ts'
import { nearest } from '../shared/nearest.ts'
import type { Field, FieldType } from './field.ts'

/** One box of a list of them: HighLevel's `properties` hold each under `<field>.<option>`. */
export const textBox: FieldType = {
  read(value, _, notes) {
    if (typeof value === 'string') return value
    return notes.fault('wrong-type', 'must be a text')
  },
  schema: () => Type.String()
}

const boxOf = ({ options }: Field, name: string) =>
  options.find(({ key }) => key === name) ?? options.find(({ label }) => label === name)

/** The boxes of one field. HighLevel takes them one by one alone; those that are not named keep their texts. */
export const textBoxes: FieldType = {
  read(value, field, notes) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return notes.fault('wrong-type', `must be an object of texts, one for each box of ${field.name} to change`)
    }
    for (const [name, text] of Object.entries(value)) {
      const box = boxOf(field, name)
      const path = `/${pointerPart(name)}`
      if (box === undefined) {
        const near = nearest(
          name,
          field.options.map(({ key }) => key)
        )
        const hint = near === undefined ? '' : `: did you mean "${near}"?`
        notes.fault('unknown-option', `is not a box of ${field.name}${hint}`, path)
      } else if (text === null || typeof text === 'string') notes.set(`${field.key}.${box.key}`, text)
      else notes.fault('wrong-type', 'must be a text, or null', path)
    }
  },
  clear(field, notes) {
    for (const { key } of field.options) notes.set(`${field.key}.${key}`, null)
  },
  schema: ({ options }) =>
    Type.Object(
      Object.fromEntries(
        options.map(({ key, label }) => [
          key,
          Type.Optional(Type.Union([Type.String(), Type.Null()], { title: label }))
        ])
      ),
      { additionalProperties: false }
    )
}
