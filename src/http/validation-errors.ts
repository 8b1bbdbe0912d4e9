import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import type { TLocalizedValidationError } from 'typebox/error'
import '../shared/typebox-settings.ts'
import type { FieldError } from '../problems/problem.ts'
import { escapePointerToken, isObject } from '../shared/json.ts'

type SchemaError = TLocalizedValidationError

const noErrors: readonly FieldError[] = []

const MAX_POINTER_CHARS = 512

const codes: Record<string, string> = {
  not: 'unsupported',
  type: 'wrong-type',
  anyOf: 'wrong-type',
  pattern: 'bad-format',
  minProperties: 'empty',
  maxItems: 'too-many',
  maxLength: 'too-long'
}

interface SchemaNode {
  description?: string
  anyOf?: unknown[]
}

/** The subschema at a path such as `#/properties/owner/anyOf/0`. */
const nodeAt = (root: TSchema, path: string): SchemaNode => {
  let node: unknown = root
  for (const key of path.split('/').slice(1)) node = (node as Record<string, unknown> | undefined)?.[key]
  return (node as SchemaNode | undefined) ?? {}
}

/**
 * Of a union's errors, keeps those of the branch that was meant: the one whose type fits. If none fits, keeps only the
 * union's own error.
 */
function withoutOtherBranches(schema: TSchema, errors: readonly SchemaError[]): SchemaError[] {
  const mismatched = new Set(errors.filter(({ keyword }) => keyword === 'type').map(({ schemaPath }) => schemaPath))
  return errors.filter(({ keyword, schemaPath }) => {
    const [branch] = /^.*?\/anyOf\/\d+/.exec(schemaPath) ?? []
    if (branch !== undefined) return !mismatched.has(branch)
    const branches = nodeAt(schema, schemaPath).anyOf ?? []
    return keyword !== 'anyOf' || branches.every((_, index) => mismatched.has(`${schemaPath}/anyOf/${index}`))
  })
}

/** Above the maximum length of every list: errors in later items tell nothing new and cost time. */
const MAX_LIST_ITEMS = 200
/** The deepest list is the one in `{ followers: { add: [...] } }`. */
const LIST_DEPTH = 2

const truncateLists = (value: unknown, depth = LIST_DEPTH): unknown => {
  if (Array.isArray(value)) return value.slice(0, MAX_LIST_ITEMS)
  if (depth === 0 || !isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, truncateLists(member, depth - 1)]))
}

/**
 * Compiles a schema into a function that lists every error in a value. `locate` turns a JSON Pointer into the location
 * of a field error.
 */
export function compileValidator(
  schema: TSchema,
  locate: (pointer: string) => { pointer: string } | { parameter: string }
) {
  // Names come from callers and may be as long as the body: they are not repeated in full.
  const at = (pointer: string) => locate(pointer.slice(0, MAX_POINTER_CHARS))
  const validator = Compile(schema)

  const toFieldErrors = (error: SchemaError): FieldError[] => {
    const { keyword, instancePath, schemaPath, params, message } = error
    const forMembers = (names: readonly string[], code: string, detail: string) =>
      names.map((name) => ({ ...at(`${instancePath}/${escapePointerToken(name)}`), code, detail }))

    if (keyword === 'required') return forMembers(params.requiredProperties, 'required', 'is required')
    // TypeBox reports each unknown member on its own and all of them together. The former survive its cap on errors.
    if (keyword === 'boolean') return [{ ...at(instancePath), code: 'unknown-member', detail: 'is not allowed here' }]
    if (keyword === 'additionalProperties') return []
    const { description } = nodeAt(schema, schemaPath)
    return [
      {
        ...at(instancePath),
        code: codes[keyword] ?? 'invalid',
        detail: description === undefined ? message : `must be ${description}`
      }
    ]
  }

  return (value: unknown): readonly FieldError[] => {
    if (validator.Check(value)) return noErrors
    const errors = withoutOtherBranches(schema, validator.Errors(truncateLists(value))).flatMap(toFieldErrors)
    // Never an empty list for an invalid value: that would let it pass.
    return errors.length > 0 ? errors : [{ ...at(''), code: 'invalid', detail: 'is not valid' }]
  }
}
