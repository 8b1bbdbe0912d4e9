import Type, { type TSchema } from 'typebox'
import type { ObjectSchema } from './object-schema.ts'

/**
 * What the `properties` of a write may hold, as JSON Schema (2020-12): for forms, and for checks before a call. What
 * fits it passes the gateway's own check, but for the little that docs/dialect.md names. That check takes more: labels of
 * options in place of their keys, and full field keys in place of short ones.
 */
export function propertiesSchema({ key, title, description, fields }: ObjectSchema): TSchema {
  const members = [...fields.values()].map((field) => {
    const about = { title: field.name, 'x-highlevel-type': field.dataType }
    return [field.key, Type.Optional(Type.Union([field.type.schema(field), Type.Null()], about))] as const
  })
  return Type.Object(Object.fromEntries(members), {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title,
    ...(description !== undefined && { description }),
    'x-highlevel-key': key,
    additionalProperties: false,
    minProperties: 1
  })
}
