import type { Fault } from '../problems.ts'

/** HighLevel's values nest two deep. Beyond this a value cannot be written out again without a risk to the stack. */
const MAX_DEPTH = 16
const MAX_KEY_CHARS = 256

const escapePointer = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1')

function* faultsAt(value: unknown, pointer: string, depth: number): Generator<Fault> {
  // JSON can write 1e999; an IEEE number cannot hold it, and it would be written out as null: it would clear the field.
  if (typeof value === 'number' && !Number.isFinite(value))
    yield { pointer, code: 'out-of-range', detail: 'is too large for a number' }
  if (typeof value !== 'object' || value === null) return
  if (depth === MAX_DEPTH) return yield { pointer, code: 'too-deep', detail: `is nested more than ${MAX_DEPTH} deep` }
  for (const [key, member] of Object.entries(value))
    yield* faultsAt(member, `${pointer}/${escapePointer(key)}`, depth + 1)
}

const MAX_FAULTS = 100

/** Faults of the values in `properties` that hold for every object of every location. The body may be anything. */
export function valueFaults(body: unknown): readonly Fault[] {
  const properties = (body as { properties?: unknown } | null | undefined)?.properties
  if (typeof properties !== 'object' || properties === null) return []
  const faults: Fault[] = []
  for (const key of Object.keys(properties)) {
    if (key === '' || key.length > MAX_KEY_CHARS) {
      faults.push({
        pointer: `/properties/${escapePointer(key.slice(0, MAX_KEY_CHARS))}`,
        code: 'bad-format',
        detail: `must be a field key of 1 to ${MAX_KEY_CHARS} characters`
      })
    }
  }
  for (const fault of faultsAt(properties, '/properties', 0)) if (faults.push(fault) >= MAX_FAULTS) break
  return faults
}
