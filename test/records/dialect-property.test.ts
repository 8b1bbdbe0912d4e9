import fc from 'fast-check'
import t from 'tap'
import type { Field, ObjectSchema } from '../simulator/objects.ts'
import { SEED } from '../simulator/seed.ts'
import { recordId } from '../support/calls.ts'
import { startGateway, startSimulator } from '../support/harness.ts'

/** A fixed seed, so that failures can be reproduced. Any seed must pass. */
const RUNS = { seed: 20261125, numRuns: 150, endOnFailure: true }

const OPTIONS = ['red', 'green', 'blue', 'white'].map((key) => ({
  key,
  label: `${key[0]?.toUpperCase()}${key.slice(1)}`
}))
const labelOf = (key: string) => OPTIONS.find((one) => one.key === key)?.label ?? key
const urlOf = (name: string) => `https://files.example.com/${name}.png`

/** A value for one field, and what the record must hold after it is written. */
interface Change {
  value: unknown
  /** The expected value, given what the record held before. */
  expected: (held: unknown) => unknown
}

interface Kind {
  dataType: string
  more?: Partial<Field>
  /** What the record may hold before. */
  held: fc.Arbitrary<unknown>
  change: fc.Arbitrary<Change>
}

const changeTo = (value: unknown, stored: unknown = value): Change => ({ value, expected: () => stored })
const scalar = (dataType: string, values: fc.Arbitrary<unknown>, more: Partial<Field> = {}): Kind => ({
  dataType,
  more,
  held: fc.option(values),
  change: fc.option(values).map((value) => changeTo(value))
})

const listOf = (held: unknown): string[] => (Array.isArray(held) ? (held as string[]) : [])
const keys = fc.subarray(OPTIONS.map(({ key }) => key))
const asKeysOrLabels = (list: readonly string[], labels: boolean) => (labels ? list.map(labelOf) : [...list])

const optionChange: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(keys, fc.boolean()).map(([wanted, labels]) => changeTo(asKeysOrLabels(wanted, labels), wanted)),
  fc.tuple(keys, keys, fc.boolean()).map(([add, removed, labels]) => {
    const remove = removed.filter((key) => !add.includes(key))
    return {
      value: { add: asKeysOrLabels(add, labels), remove },
      expected: (held: unknown) => [
        ...listOf(held).filter((key) => !remove.includes(key) && !add.includes(key)),
        ...add
      ]
    }
  }),
  fc.constant(changeTo(null, []))
)
const optionList = (dataType: string): Kind => ({
  dataType,
  more: { options: OPTIONS },
  held: fc.option(keys),
  change: optionChange
})

const names = fc.subarray(['a', 'b', 'c', 'd'])
const filesOf = (list: readonly string[]) => list.map((name) => ({ url: urlOf(name) }))
const urls = (held: unknown) => (Array.isArray(held) ? (held as { url: string }[]).map(({ url }) => url) : [])
const fileList: Kind = {
  dataType: 'FILE_UPLOAD',
  more: { maxFileLimit: 4 },
  held: fc.option(names.map(filesOf)),
  change: fc.oneof(
    names.map((wanted) => changeTo(filesOf(wanted))),
    fc.tuple(names, names).map(([add, removed]) => {
      const remove = removed.filter((name) => !add.includes(name)).map(urlOf)
      const added = add.map(urlOf)
      return {
        value: { add: filesOf(add), remove: remove.map((url) => ({ url })) },
        expected: (held: unknown) =>
          [...urls(held).filter((url) => !remove.includes(url) && !added.includes(url)), ...added].map((url) => ({
            url
          }))
      }
    }),
    fc.constant(changeTo(null, []))
  )
}

const amounts = fc.integer({ min: -1_000, max: 1_000 })
const money: Kind = {
  dataType: 'MONETORY',
  held: fc.option(amounts.map((value) => ({ currency: 'default', value }))),
  change: fc.oneof(
    amounts.map((value) => changeTo(value, { currency: 'default', value })),
    amounts.map((value) => changeTo({ value }, { currency: 'default', value })),
    fc.constant(changeTo(null))
  )
}

const dates = fc
  .date({ min: new Date('1900-01-01'), max: new Date('2099-12-31'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10))

const kinds: readonly Kind[] = [
  scalar('TEXT', fc.string()),
  scalar('LARGE_TEXT', fc.string({ maxLength: 200 })),
  scalar('NUMERICAL', amounts),
  scalar(
    'PHONE',
    fc.integer({ min: 1_000_000, max: 999_999_999 }).map((digits) => `+${digits}`)
  ),
  scalar('EMAIL', fc.constantFrom('ada@example.com', 'b@c.org')),
  scalar('STANDARD_FIELD', fc.string()),
  scalar('DATE', dates),
  {
    dataType: 'SINGLE_OPTIONS',
    more: { options: OPTIONS },
    held: fc.option(fc.constantFrom(...OPTIONS.map(({ key }) => key))),
    change: fc
      .tuple(fc.constantFrom(...OPTIONS.map(({ key }) => key)), fc.boolean())
      .map(([key, label]) => changeTo(label ? labelOf(key) : key, key))
  },
  scalar(
    'RADIO',
    fc.string({ minLength: 1 }).map((text) => `own ${text}`),
    { options: OPTIONS, allowCustomOption: true }
  ),
  optionList('MULTIPLE_OPTIONS'),
  optionList('CHECKBOX'),
  fileList,
  money
]

const fieldOf = (objectKey: string, kind: Kind | undefined, n: number): Field => ({
  name: `Field ${n}`,
  fieldKey: `${objectKey}.field_${n}`,
  dataType: kind?.dataType ?? '',
  ...kind?.more
})

let objects = 0
/** A new object for each run, because the gateway caches schemas. */
function nextObject(fields: (objectKey: string) => Field[]): ObjectSchema {
  objects += 1
  const key = `custom_objects.thing_${objects}`
  const labels = { singular: 'Thing', plural: 'Things' }
  return { id: recordId(0xb000 + objects), key, standard: false, labels, fields: fields(key) }
}

/** Lists are compared as sets. A missing value, null and the empty list are equal. */
const normalize = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.length === 0 ? null : value.map((one) => JSON.stringify(one)).sort()
  return value ?? null
}

const path = (key: string, id: string) => `/records/${key}/${id}?locationId=${SEED.locationId}`

/** Whether HighLevel would answer 200 and store null, or a date in 1970, instead of the value. */
const losesData = (field: Field | undefined, value: unknown): boolean => {
  if (field?.dataType === 'DATE') return value === ''
  const isList = ['MULTIPLE_OPTIONS', 'CHECKBOX', 'FILE_UPLOAD'].includes(field?.dataType ?? '')
  return isList && (typeof value === 'string' || typeof value === 'boolean')
}

/** Failures print the number of a kind, not the whole kind. */
const numbered = kinds.map((kind, at) => ({ kind, at }))

t.test('for any object and any record, HighLevel stores what was written', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 1_000_000 })
  const { call } = await startGateway(t, { simulator, env: { LOCATION_BURST_MAX: '1000000' } })
  const member = fc
    .constantFrom(...numbered)
    .chain(({ at, kind }) =>
      fc.record({ kind: fc.constant(at), held: kind.held, change: fc.option(kind.change, { nil: undefined }) })
    )

  await fc.assert(
    fc.asyncProperty(fc.array(member, { minLength: 1, maxLength: 12 }), fc.boolean(), async (members, fullKeys) => {
      const schema = nextObject((key) => members.map(({ kind }, n) => fieldOf(key, kinds[kind], n)))
      simulator.putObject(schema)
      const held = Object.fromEntries(members.map(({ held }, n) => [`field_${n}`, held]))
      const id = recordId(0xa000 + objects)
      simulator.putRecord(schema.key, { id, locationId: SEED.locationId, properties: held })
      simulator.clearReceived()
      const changes = members.flatMap(({ change }, n) => (change === undefined ? [] : [{ n, change }]))
      const name = (n: number) => (fullKeys ? `${schema.key}.field_${n}` : `field_${n}`)
      const properties = Object.fromEntries(changes.map(({ n, change }) => [name(n), change.value]))
      if (changes.length === 0) return

      const reply = await call(path(schema.key, id), { method: 'PATCH', body: { properties } })

      if (reply.status !== 200) throw new Error(`Answered ${reply.text} to ${JSON.stringify(properties)}`)
      const stored = simulator.record(schema.key, id)?.properties ?? {}
      const wanted: Record<string, unknown> = { ...held }
      for (const { n, change } of changes) wanted[`field_${n}`] = change.expected(held[`field_${n}`])
      for (const [key, value] of Object.entries(wanted)) {
        const [actual, expected] = [JSON.stringify(normalize(stored[key])), JSON.stringify(normalize(value))]
        if (actual !== expected) throw new Error(`${key} holds ${actual} instead of ${expected}`)
      }
      const puts = simulator.received({ method: 'PUT' })
      const reads = simulator.received({ method: 'GET' }).filter(({ path }) => path.includes('/records/'))
      if (puts.length > 1 || reads.length > 1) throw new Error(`${puts.length} writes, ${reads.length} reads`)
    }),
    RUNS
  )
  t.ok(objects >= RUNS.numRuns)
})

t.test('any value is either rejected or stored: none makes HighLevel lose data', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 1_000_000 })
  const { call } = await startGateway(t, { simulator, env: { LOCATION_BURST_MAX: '1000000' } })
  const odd = fc.oneof(
    fc.constantFrom('', 'red', 'Red', '2024-02-30', urlOf('a'), true, false, 0),
    fc.jsonValue({ maxDepth: 2 }),
    fc.record({ add: fc.jsonValue({ maxDepth: 1 }), remove: fc.jsonValue({ maxDepth: 1 }) }, { requiredKeys: [] })
  )
  const schema = nextObject((key) => kinds.map((kind, n) => fieldOf(key, kind, n)))
  simulator.putObject(schema)
  const id = recordId(0xa000 + objects)
  const seen = { rejected: 0, stored: 0 }

  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: kinds.length - 1 }), odd, async (n, value) => {
      simulator.putRecord(schema.key, { id, locationId: SEED.locationId })
      simulator.clearReceived()

      const body = JSON.stringify({ properties: { [`field_${n}`]: value } })
      const reply = await call(path(schema.key, id), { method: 'PATCH', body })

      const puts = simulator.received({ method: 'PUT' })
      const field = schema.fields[n]
      const key = `field_${n}`
      for (const put of puts) {
        const { properties = {} } = JSON.parse(put.body) as { properties?: Record<string, unknown> }
        if (losesData(field, properties[key])) throw new Error(`Sent ${put.body}`)
      }
      if (reply.status === 200) seen.stored += 1
      else {
        seen.rejected += 1
        const codes = ['invalid-properties', 'invalid-request']
        const isExplained = codes.includes(String(reply.json['code'])) && Array.isArray(reply.json['errors'])
        if (!isExplained || puts.length > 0) throw new Error(`${field?.dataType}: ${reply.text} to ${body}`)
      }
    }),
    { ...RUNS, numRuns: 600 }
  )
  t.ok(seen.rejected > 50 && seen.stored > 50, `${seen.rejected} rejected, ${seen.stored} stored`)
})
