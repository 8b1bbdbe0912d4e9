import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import type { TLocalizedValidationError } from 'typebox/error'
import '../shared/all-faults.ts'
import type { Fault } from '../problems.ts'

type Entry = TLocalizedValidationError

const codes: Record<string, string> = {
  not: 'unsupported',
  type: 'wrong-type',
  anyOf: 'wrong-type',
  pattern: 'bad-format',
  minProperties: 'empty',
  maxItems: 'too-many',
  maxLength: 'too-long'
}

/** `description` of a schema says in words what a value must be: a pattern is no reading matter. */
const descriptionAt = (root: TSchema, path: string): string | undefined => {
  let at: unknown = root
  for (const key of path.split('/').slice(1)) at = (at as Record<string, unknown> | undefined)?.[key]
  return (at as { description?: string } | undefined)?.description
}

const escapePointer = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1')

/**
 * Of a union, only the entries of the branch that was meant: the one whose own type fits. Where none does, the union's
 * entry alone stays.
 */
function withoutOtherBranches(entries: readonly Entry[]): Entry[] {
  const unions = entries.filter(({ keyword }) => keyword === 'anyOf')
  return entries.filter((entry) => {
    const union = unions.find(({ schemaPath }) => entry.schemaPath.startsWith(`${schemaPath}/anyOf/`))
    if (union !== undefined) {
      const branch = entry.schemaPath.slice(0, `${union.schemaPath}/anyOf/`.length + 1)
      return !entries.some(({ keyword, schemaPath }) => keyword === 'type' && schemaPath === branch)
    }
    if (entry.keyword !== 'anyOf') return true
    const branches = entries.filter(({ schemaPath }) =>
      /^\/anyOf\/\d+$/.test(schemaPath.slice(entry.schemaPath.length))
    )
    const wrongType = branches.filter(({ keyword }) => keyword === 'type')
    return branches.length === wrongType.length
  })
}

/**
 * Compiles a schema into a function that lists every fault of a value, none for a value that fits. `place` says where
 * a JSON Pointer leads.
 */
export function compileFaults(
  schema: TSchema,
  place: (pointer: string) => { pointer: string } | { parameter: string }
) {
  const validator = Compile(schema)

  const faultsOf = (entry: Entry): Fault[] => {
    const { keyword, instancePath, schemaPath, params, message } = entry
    const members = (names: readonly string[], code: string, detail: string) =>
      names.map((name) => ({ ...place(`${instancePath}/${escapePointer(name)}`), code, detail }))

    if (keyword === 'required') return members(params.requiredProperties, 'required', 'is required')
    if (keyword === 'additionalProperties')
      return members(params.additionalProperties, 'unknown-member', 'is not known here')
    // Each unknown member is listed by the entry above already.
    if (keyword === 'boolean') return []
    const description = descriptionAt(schema, schemaPath)
    return [
      {
        ...place(instancePath),
        code: codes[keyword] ?? 'invalid',
        detail: description === undefined ? message : `must be ${description}`
      }
    ]
  }

  return (value: unknown): Fault[] =>
    validator.Check(value) ? [] : withoutOtherBranches(validator.Errors(value)).flatMap(faultsOf)
}
