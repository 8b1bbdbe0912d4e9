import Type, { type TSchema } from 'typebox'
import type { ObjectSchema } from './object-schema.ts'

/**
 * What the `properties` of a write may hold, as JSON Schema (2020-12), for forms and client-side checks. A body that
 * fits it passes the gateway's own check, except for the few cases in docs/dialect.md. That check accepts more: labels
 * of options in place of their keys, and full field keys in place of short ones.
 */
export function propertiesSchema({ key, title, description, fields }: ObjectSchema): TSchema {
  const properties = [...fields.values()].map((field) => {
    const annotations = { title: field.name, 'x-highlevel-type': field.dataType }
    return [field.key, Type.Optional(Type.Union([field.type.schema(field), Type.Null()], annotations))] as const
  })
  return Type.Object(Object.fromEntries(properties), {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title,
    ...(description !== undefined && { description }),
    'x-highlevel-key': key,
    additionalProperties: false,
    minProperties: 1
  })
}
