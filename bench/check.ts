import { readObjectSchema } from '../src/schemas/object-schema.ts'
import { planProperties, resolveWanted } from '../src/schemas/plan-properties.ts'
import { requestBody, schemaAnswer } from './example.ts'

const BODIES = 1_000
const WARM_UP = 200
const ROUNDS = 200

/** Measures how many microseconds it takes to check and translate the properties of the example. */
export function measureCheckMicros(): number {
  const schema = readObjectSchema(JSON.parse(schemaAnswer))
  if (schema === undefined) throw new Error('The schema of the example is invalid')
  // Each body is parsed separately, as in production: reusing one object would be unrealistically fast.
  const bodies = Array.from({ length: BODIES }, () => JSON.parse(requestBody).properties as Record<string, unknown>)
  const checkAll = () => {
    for (const properties of bodies) {
      const plan = planProperties(schema, properties)
      if (plan.errors.length > 0 || resolveWanted(plan, {}) === undefined)
        throw new Error('The example does not match its schema')
    }
  }
  for (let i = 0; i < WARM_UP; i++) checkAll()
  const since = performance.now()
  for (let i = 0; i < ROUNDS; i++) checkAll()
  return ((performance.now() - since) * 1_000) / (ROUNDS * BODIES)
}
