import fc from 'fast-check'
import t from 'tap'
import { Compile } from 'typebox/compile'
import { propertiesSchema } from '../../src/schemas/json-schema.ts'
import { readObjectSchema } from '../../src/schemas/object-schema.ts'
import { planProperties } from '../../src/schemas/plan-properties.ts'
import { TICKET } from '../simulator/seed-objects.ts'

const schema = readObjectSchema({ object: TICKET, fields: TICKET.fields })
if (schema === undefined) throw new Error('The object is invalid')
const validator = Compile(propertiesSchema(schema))
const keys = [...schema.fields.keys()]

/** Values that fields barely accept or barely reject. */
const near = fc.oneof(
  fc.constantFrom(
    '',
    'x',
    'bug',
    'Bug',
    'contacts',
    '2024-02-29',
    '2023-02-29',
    '2024-2-9',
    '+14155550123',
    '0171',
    'a@b',
    'a b@c'
  ),
  fc.constantFrom(null, true, 0, -1.5, [], {}, 'x'.repeat(12_000), 'x'.repeat(12_001)),
  fc.constantFrom(
    { value: 1 },
    { currency: 'default', value: 1 },
    { currency: 'EUR', value: 1 },
    { value: 1, more: 1 }
  ),
  fc.array(fc.constantFrom('contacts', 'Contacts', 'urgent', 'smartlist', 5), { maxLength: 3 }),
  fc.record(
    {
      add: fc.array(fc.constantFrom('contacts', 'urgent', 'x'), { maxLength: 2 }),
      remove: fc.array(fc.constantFrom('smartlist', 'billing'), { maxLength: 2 })
    },
    { requiredKeys: [] }
  ),
  fc.uniqueArray(
    fc.constantFrom({ url: 'https://a.b/c' }, { url: 'https://a.b/d', name: 'd', size: 1 }, { url: 'x' }),
    {
      maxLength: 4
    }
  ),
  fc.record({ option_a: fc.constantFrom('x', null, 1), option_b: fc.constantFrom('y', null) }, { requiredKeys: [] }),
  fc.jsonValue({ maxDepth: 2 })
)

t.test('a value that fits the JSON Schema of an object passes the gateway’s own check', async (t) => {
  let passed = 0
  let rejected = 0
  fc.assert(
    fc.property(fc.constantFrom(...keys), near, (key, value) => {
      if (!validator.Check({ [key]: value })) {
        rejected += 1
        return
      }
      passed += 1
      const { errors } = planProperties(schema, { [key]: value })
      // No schema can rule out an item that is both added and removed.
      const others = errors.filter(({ code }) => code !== 'conflict')
      if (others.length > 0) throw new Error(`${key}: ${JSON.stringify(others)}`)
    }),
    { seed: 20261125, numRuns: 20_000, endOnFailure: true }
  )
  t.ok(passed > 1_000 && rejected > 1_000, `${passed} fit, ${rejected} do not`)
})

t.test('a value that passes the check fits the JSON Schema, unless it uses labels or full keys', async (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...keys), near, (key, value) => {
      const isLabel = /"(Bug|Contacts)"/.test(JSON.stringify(value))
      if (isLabel || planProperties(schema, { [key]: value }).errors.length > 0) return
      if (!validator.Check({ [key]: value })) throw new Error(`${key}: ${JSON.stringify(value)?.slice(0, 200)}`)
    }),
    { seed: 20261125, numRuns: 20_000, endOnFailure: true }
  )
  t.notOk(validator.Check({ no_such_field: 1 }))
  t.notOk(validator.Check({}))
})
