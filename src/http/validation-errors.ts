import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import type { TLocalizedValidationError } from 'typebox/error'
import '../shared/typebox-settings.ts'
import type { FieldError } from '../problems/problem.ts'
import { escapePointerToken, isObject } from '../shared/json.ts'

type Entry = TLocalizedValidationError

const none: readonly FieldError[] = []

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

interface Part {
  description?: string
  anyOf?: unknown[]
}

/** The part of a schema at a path such as `#/properties/owner/anyOf/0`. */
const partAt = (root: TSchema, path: string): Part => {
  let at: unknown = root
  for (const key of path.split('/').slice(1)) at = (at as Record<string, unknown> | undefined)?.[key]
  return (at as Part | undefined) ?? {}
}

/**
 * Of a union, only the entries of the branch that was meant: the one whose own type fits. Where none does, the union's
 * entry alone stays.
 */
function withoutOtherBranches(schema: TSchema, entries: readonly Entry[]): Entry[] {
  const misfits = new Set(entries.filter(({ keyword }) => keyword === 'type').map(({ schemaPath }) => schemaPath))
  return entries.filter(({ keyword, schemaPath }) => {
    const [branch] = /^.*?\/anyOf\/\d+/.exec(schemaPath) ?? []
    if (branch !== undefined) return !misfits.has(branch)
    const branches = partAt(schema, schemaPath).anyOf ?? []
    return keyword !== 'anyOf' || branches.every((_, index) => misfits.has(`${schemaPath}/anyOf/${index}`))
  })
}

/** More entries than any list may have: what comes after them says nothing new, and takes long to say. */
const MAX_LISTED = 200
/** `{ followers: { add: [...] } }` is the deepest that a list stands. */
const LIST_DEPTH = 2

const shortened = (value: unknown, depth = LIST_DEPTH): unknown => {
  if (Array.isArray(value)) return value.slice(0, MAX_LISTED)
  if (depth === 0 || !isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shortened(member, depth - 1)]))
}

/**
 * Compiles a schema into a function that lists every fault of a value, none for a value that fits. `lead` says where
 * a JSON Pointer leads.
 */
export function compileValidation(
  schema: TSchema,
  lead: (pointer: string) => { pointer: string } | { parameter: string }
) {
  // Names come from callers: one of a quarter of a megabyte is not repeated.
  const place = (pointer: string) => lead(pointer.slice(0, MAX_POINTER_CHARS))
  const validator = Compile(schema)

  const faultsOf = (entry: Entry): FieldError[] => {
    const { keyword, instancePath, schemaPath, params, message } = entry
    const members = (names: readonly string[], code: string, detail: string) =>
      names.map((name) => ({ ...place(`${instancePath}/${escapePointerToken(name)}`), code, detail }))

    if (keyword === 'required') return members(params.requiredProperties, 'required', 'is required')
    // One entry for each unknown member, and one that lists them all: the first kind survives a cap on entries.
    if (keyword === 'boolean') return [{ ...place(instancePath), code: 'unknown-member', detail: 'is not known here' }]
    if (keyword === 'additionalProperties') return []
    const { description } = partAt(schema, schemaPath)
    return [
      {
        ...place(instancePath),
        code: codes[keyword] ?? 'invalid',
        detail: description === undefined ? message : `must be ${description}`
      }
    ]
  }

  return (value: unknown): readonly FieldError[] => {
    if (validator.Check(value)) return none
    const faults = withoutOtherBranches(schema, validator.Errors(shortened(value))).flatMap(faultsOf)
    // A value that does not fit has a fault, whatever became of the entries: an empty list would let it pass.
    return faults.length > 0 ? faults : [{ ...place(''), code: 'invalid', detail: 'does not fit' }]
  }
}
