import Type from 'typebox'
import type { Field, FieldType, Options } from './field.ts'
import { files } from './files.ts'
import { choice, choices } from './options.ts'
import { textBoxes } from './text-boxes.ts'
import * as rules from './text-rules.ts'

const LARGE_TEXT_MAX = 12_000

const text: FieldType = {
  read(value, _, notes) {
    if (typeof value === 'string') return value
    return notes.fault('wrong-type', 'must be a text')
  },
  schema: () => Type.String({ pattern: rules.TEXT })
}

const largeText: FieldType = {
  read(value, _, notes) {
    if (typeof value !== 'string') return notes.fault('wrong-type', 'must be a text')
    if (rules.isAtMost(value, LARGE_TEXT_MAX)) return value
    return notes.fault('too-long', 'must be of at most 12,000 characters')
  },
  schema: () => Type.String({ maxLength: LARGE_TEXT_MAX, pattern: rules.TEXT })
}

const email: FieldType = {
  read(value, _, notes) {
    if (typeof value !== 'string') return notes.fault('wrong-type', 'must be a text')
    if (rules.email.holds(value)) return value
    return notes.fault('bad-email', 'must be an email address')
  },
  schema: () => Type.String({ pattern: rules.email.pattern })
}

const phone: FieldType = {
  read(value, _, notes) {
    if (typeof value !== 'string') return notes.fault('wrong-type', 'must be a text')
    if (rules.phone.holds(value)) return value
    return notes.fault('bad-phone', 'must be an international number of digits alone, such as +14155550123')
  },
  schema: () => Type.String({ pattern: rules.phone.pattern })
}

const number: FieldType = {
  read(value, _, notes) {
    if (typeof value === 'number') return value
    return notes.fault('wrong-type', 'must be a number')
  },
  schema: () => Type.Number()
}

const CURRENCY = 'default'

/** The currency is the location's own: HighLevel knows no other, and refuses a bare number. */
const money: FieldType = {
  read(value, _, notes) {
    if (typeof value === 'number') return { currency: CURRENCY, value }
    const { currency = CURRENCY, value: amount, ...others } = (value ?? {}) as Record<string, unknown>
    if (typeof amount !== 'number' || Object.keys(others).length > 0) {
      return notes.fault('wrong-type', 'must be a number, or { "currency": "default", "value": <number> }')
    }
    if (currency === CURRENCY) return { currency, value: amount }
    return notes.fault('bad-currency', 'must be "default": an amount is in the currency of the location', '/currency')
  },
  schema: () =>
    Type.Union([
      Type.Number(),
      Type.Object(
        { currency: Type.Optional(Type.Literal(CURRENCY)), value: Type.Number() },
        { additionalProperties: false }
      )
    ])
}

const date: FieldType = {
  read(value, _, notes) {
    if (typeof value !== 'string') return notes.fault('wrong-type', 'must be a text such as 2026-01-31')
    if (rules.day.holds(value)) return value
    // An empty one HighLevel has stored as a day of 1970.
    return notes.fault('bad-date', 'must be a day of the calendar such as 2026-01-31; null clears the field')
  },
  schema: () => Type.String({ format: 'date', pattern: rules.day.pattern })
}

const asItComes: FieldType = {
  read: (value) => value,
  schema: () => Type.Unknown()
}

/**
 * How each of HighLevel's data types takes a value of a PUT, spelling included. Sources: its "Update Records API" page,
 * and what users measured where it says nothing. What is not listed passes as it comes: HighLevel has more types than
 * it documents.
 */
const types: ReadonlyMap<string, FieldType> = new Map(
  Object.entries({
    TEXT: text,
    LARGE_TEXT: largeText,
    NUMERICAL: number,
    PHONE: phone,
    MONETORY: money,
    CHECKBOX: choices,
    SINGLE_OPTIONS: choice,
    MULTIPLE_OPTIONS: choices,
    RADIO: choice,
    DATE: date,
    TEXTBOX_LIST: textBoxes,
    FILE_UPLOAD: files,
    EMAIL: email,
    STANDARD_FIELD: text
  } satisfies Record<string, FieldType>)
)

export const typeOf = (dataType: string): FieldType => types.get(dataType) ?? asItComes

/** What most fields have. */
export const NO_OPTIONS: Options = { all: [], keyOf: new Map() }

/** The fields by the names under which properties hold them: of a list of text boxes each box is one too. */
export function withBoxes(fields: readonly Field[]): Map<string, Field> {
  const byKey = new Map<string, Field>()
  for (const field of fields) {
    byKey.set(field.key, field)
    if (field.type !== textBoxes) continue
    for (const { key, label } of field.options.all) byKey.set(`${field.key}.${key}`, boxOf(field, key, label))
  }
  return byKey
}

const boxOf = (field: Field, key: string, label: string): Field => ({
  ...field,
  key: `${field.key}.${key}`,
  name: `${field.name}: ${label}`,
  type: text,
  options: NO_OPTIONS
})

/** A box of a field whose boxes HighLevel does not tell. */
export function untoldBox(fields: ReadonlyMap<string, Field>, name: string): Field | undefined {
  for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
    const field = fields.get(name.slice(0, dot))
    const key = name.slice(dot + 1)
    if (field?.type === textBoxes && field.options.all.length === 0 && key !== '') return boxOf(field, key, key)
  }
  return undefined
}
