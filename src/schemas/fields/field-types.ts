import Type from 'typebox'
import type { Field, FieldType, Options } from './field.ts'
import { files } from './files.ts'
import { multipleOptions, singleOption } from './options.ts'
import { textBoxes } from './text-boxes.ts'
import * as rules from './text-rules.ts'

const LARGE_TEXT_MAX = 12_000

const text: FieldType = {
  translate(value, _, report) {
    if (typeof value === 'string') return value
    return report.addError('wrong-type', 'must be a string')
  },
  schema: () => Type.String({ pattern: rules.TEXT_PATTERN })
}

const largeText: FieldType = {
  translate(value, _, report) {
    if (typeof value !== 'string') return report.addError('wrong-type', 'must be a string')
    if (rules.hasAtMostChars(value, LARGE_TEXT_MAX)) return value
    return report.addError('too-long', 'must be at most 12,000 characters long')
  },
  schema: () => Type.String({ maxLength: LARGE_TEXT_MAX, pattern: rules.TEXT_PATTERN })
}

const email: FieldType = {
  translate(value, _, report) {
    if (typeof value !== 'string') return report.addError('wrong-type', 'must be a string')
    if (rules.email.matches(value)) return value
    return report.addError('bad-email', 'must be an email address')
  },
  schema: () => Type.String({ pattern: rules.email.pattern })
}

const phone: FieldType = {
  translate(value, _, report) {
    if (typeof value !== 'string') return report.addError('wrong-type', 'must be a string')
    if (rules.phone.matches(value)) return value
    return report.addError('bad-phone', 'must be a phone number as + and digits only, such as +14155550123')
  },
  schema: () => Type.String({ pattern: rules.phone.pattern })
}

const number: FieldType = {
  translate(value, _, report) {
    if (typeof value === 'number') return value
    return report.addError('wrong-type', 'must be a number')
  },
  schema: () => Type.Number()
}

const CURRENCY = 'default'

/** `default` is the location's own currency. HighLevel accepts no other, and rejects a bare number. */
const money: FieldType = {
  translate(value, _, report) {
    if (typeof value === 'number') return { currency: CURRENCY, value }
    const { currency = CURRENCY, value: amount, ...others } = (value ?? {}) as Record<string, unknown>
    if (typeof amount !== 'number' || Object.keys(others).length > 0) {
      return report.addError('wrong-type', 'must be a number, or { "currency": "default", "value": <number> }')
    }
    if (currency === CURRENCY) return { currency, value: amount }
    return report.addError('bad-currency', 'must be "default", the currency of the location', '/currency')
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
  translate(value, _, report) {
    if (typeof value !== 'string') return report.addError('wrong-type', 'must be a string such as "2026-01-31"')
    if (rules.calendarDate.matches(value)) return value
    // The empty string must not pass: HighLevel has stored it as a day in 1970.
    return report.addError('bad-date', 'must be a date that exists, such as 2026-01-31, or null to clear the field')
  },
  schema: () => Type.String({ format: 'date', pattern: rules.calendarDate.pattern })
}

const passThrough: FieldType = {
  translate: (value) => value,
  schema: () => Type.Unknown()
}

/**
 * The values that HighLevel's PUT accepts, by data type. The names, `MONETORY` included, are HighLevel's spelling.
 * Sources: its "Update Records API" page and, where that is silent, what users measured. A type that is not listed
 * passes unchecked, because HighLevel has more types than it documents.
 */
const types: ReadonlyMap<string, FieldType> = new Map(
  Object.entries({
    TEXT: text,
    LARGE_TEXT: largeText,
    NUMERICAL: number,
    PHONE: phone,
    MONETORY: money,
    CHECKBOX: multipleOptions,
    SINGLE_OPTIONS: singleOption,
    MULTIPLE_OPTIONS: multipleOptions,
    RADIO: singleOption,
    DATE: date,
    TEXTBOX_LIST: textBoxes,
    FILE_UPLOAD: files,
    EMAIL: email,
    STANDARD_FIELD: text
  } satisfies Record<string, FieldType>)
)

export const fieldTypeOf = (dataType: string): FieldType => types.get(dataType) ?? passThrough

/** Shared by all fields without options. */
export const NO_OPTIONS: Options = { all: [], keyOf: new Map() }

/** The fields by the keys that `properties` uses. Each box of a list of text boxes is a field of its own. */
export function indexByKey(fields: readonly Field[]): Map<string, Field> {
  const byKey = new Map<string, Field>()
  for (const field of fields) {
    byKey.set(field.key, field)
    if (field.type !== textBoxes) continue
    for (const { key, label } of field.options.all) byKey.set(`${field.key}.${key}`, boxField(field, key, label))
  }
  return byKey
}

const boxField = (field: Field, key: string, label: string): Field => ({
  ...field,
  key: `${field.key}.${key}`,
  name: `${field.name}: ${label}`,
  type: text,
  options: NO_OPTIONS
})

/** The box that `name` (`<field>.<box>`) means, in a list of text boxes for which HighLevel lists no boxes. */
export function findUnlistedBox(fields: ReadonlyMap<string, Field>, name: string): Field | undefined {
  for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
    const field = fields.get(name.slice(0, dot))
    const key = name.slice(dot + 1)
    if (field?.type === textBoxes && field.options.all.length === 0 && key !== '') return boxField(field, key, key)
  }
  return undefined
}
