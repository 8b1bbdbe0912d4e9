import fc from 'fast-check'
import t from 'tap'
import { isSameValue } from '../../src/records/same-value.ts'
import { SEED } from '../simulator/seed.ts'
import type { WriteQuirkName } from '../simulator/write-quirks.ts'
import { startGateway, startSimulator } from '../support/harness.ts'

const file = (name: string) => ({ url: `https://files.example.com/${name}.png` })
const NOT_STORED = { status: 422, code: 'upstream-rejected', applied: 'unknown' }

const quirks: [kind: WriteQuirkName, patch: object, pointers: string[]][] = [
  ['drop-added-options', { properties: { section_of_app: { add: ['workflows'] } } }, ['/properties/section_of_app']],
  ['drop-added-options', { properties: { tags: ['Urgent'], ticket_name: 'x' } }, ['/properties/tags']],
  ['keep-removed', { properties: { section_of_app: { remove: ['Contacts'] } } }, ['/properties/section_of_app']],
  ['keep-removed', { properties: { section_of_app: ['contacts'] } }, ['/properties/section_of_app']],
  ['keep-removed', { properties: { my_files: { remove: [file('screenshot')] } } }, ['/properties/my_files']],
  ['keep-removed', { properties: { my_files: [] } }, ['/properties/my_files']],
  ['drop-added-files', { properties: { my_files: { add: [file('second')] } } }, ['/properties/my_files']],
  ['drop-added-files', { properties: { my_files: [file('screenshot'), file('second')] } }, ['/properties/my_files']],
  ['drop-added-files', { properties: { my_files: [file('second')] } }, ['/properties/my_files']],
  ['store-other-option', { properties: { type_of_ticket: 'Bug' } }, ['/properties/type_of_ticket']],
  ['store-other-option', { properties: { priority: 'my own' } }, ['/properties/priority']],
  [
    'keep-cleared',
    { properties: { ticket_name: null, money: null, section_of_app: null, my_textbox_list: null, recieved_on: null } },
    ['money', 'my_textbox_list', 'my_textbox_list', 'recieved_on', 'ticket_name'].map((name) => `/properties/${name}`)
  ],
  ['keep-users', { owner: ['newOwner'] }, ['/owner']],
  ['keep-users', { owner: [], followers: { add: ['user9'] } }, ['/owner', '/followers']],
  [
    'hide-written',
    { properties: { customer_number: 5, priority: 'low' } },
    ['/properties/customer_number', '/properties/priority']
  ],
  ['hide-written', { properties: { my_textbox_list: { 'Option A': 'x' } } }, ['/properties/my_textbox_list/Option A']],
  [
    'keep-old',
    {
      properties: {
        customer_number: 5,
        ticket_name: 'other',
        phone_number: '+15125550100',
        money: 7,
        recieved_on: '2024-07-12',
        contact_email: 'a@example.com'
      }
    },
    ['contact_email', 'customer_number', 'money', 'phone_number', 'recieved_on', 'ticket_name'].map(
      (name) => `/properties/${name}`
    )
  ]
]

for (const env of [{}, { SCHEMA_VALIDATION: 'off' }]) {
  t.test(`values that HighLevel did not store are reported, ${JSON.stringify(env)}`, async (t) => {
    const simulator = await startSimulator(t)
    const { patch } = await startGateway(t, { simulator, env })
    const seeded = simulator.record(SEED.schemaKey, SEED.recordId)
    if (seeded === undefined) throw new Error('The seed has no record')

    for (const [kind, body, pointers] of quirks) {
      simulator.putRecord(SEED.schemaKey, seeded)
      simulator.setWriteQuirks(kind)
      const { json } = await patch(body)
      simulator.setWriteQuirks()

      t.match(json, NOT_STORED, `${kind} ${JSON.stringify(body)}`)
      const errors = (json['errors'] ?? []) as { pointer: string; code: string }[]
      t.strictSame(errors.map(({ pointer }) => pointer).sort(), [...pointers].sort(), kind)
      t.strictSame([...new Set(errors.map(({ code }) => code))], ['not-stored'])
    }
  })
}

t.test('values that HighLevel did not store are reported without a schema too', async (t) => {
  const simulator = await startSimulator(t)
  simulator.limitScopes(SEED.locationId, ['objects/record.write', 'objects/record.readonly'])
  const { patch } = await startGateway(t, { simulator })

  for (const [kind, properties] of [
    ['drop-added-options', { section_of_app: { add: ['workflows'] } }],
    ['keep-removed', { section_of_app: { remove: ['contacts'] } }],
    ['drop-added-files', { my_files: { add: [file('second')] } }],
    ['store-other-option', { type_of_ticket: 'bug' }],
    ['keep-cleared', { ticket_name: null }],
    ['hide-written', { priority: 'low' }]
  ] as const) {
    simulator.setWriteQuirks(kind)
    t.match((await patch({ properties })).json, NOT_STORED, kind)
  }
})

t.test('an answer older than the write causes a second read, which becomes the answer', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  await patch({ properties: { customer_number: 1 } })
  simulator.clearReceived()
  simulator.setWriteQuirks('answer-old')

  const reply = await patch({
    properties: { ticket_name: 'x', money: null, tags: { add: ['urgent'] } },
    owner: { add: ['newOwner'], remove: [SEED.userId] }
  })

  t.match(reply, {
    status: 200,
    json: { record: { properties: { ticket_name: 'x', money: null, tags: ['urgent'] } } }
  })
  t.match(reply.json, { record: { owners: ['newOwner'] } })
  t.equal(reply.headers.get('etag'), `"${simulator.record(SEED.schemaKey, SEED.recordId)?.dateUpdated}"`)
  t.strictSame(
    simulator.received().map(({ method }) => method),
    ['PUT', 'GET']
  )
})

t.test('if the second read fails, the answer to the write counts', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  await patch({ properties: { customer_number: 1 } })
  simulator.setWriteQuirks('hide-written')
  simulator.failNext({ kind: 'status', status: 404, body: { message: 'gone' }, method: 'GET', times: 9 })

  t.match((await patch({ properties: { priority: 'low' } })).json, {
    ...NOT_STORED,
    errors: [{ pointer: '/properties/priority' }]
  })
})

t.test('for types whose values HighLevel may replace, only missing and uncleared values are reported', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  const path = `/records/business/${SEED.businessRecordId}?locationId=${SEED.locationId}`
  simulator.setWriteQuirks('keep-old')

  t.equal((await patch({ properties: { city: 'New York' } }, {}, path)).status, 200)
  t.match((await patch({ properties: { city: null } }, {}, path)).json, NOT_STORED)
})

t.test('a write whose answer shows all values costs no further call', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  await patch({ properties: { customer_number: 1 } })
  simulator.clearReceived()

  await patch({
    properties: { tags: { add: ['urgent'] }, money: 5, my_files: { add: [file('second')] }, ticket_name: null }
  })

  t.equal(simulator.received().length, 1)
})

const word = fc.string({ minLength: 1, maxLength: 20 })
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value)
const files = fc.subarray(['a', 'b', 'c']).map((names) => names.map(file))
const keys = fc.subarray(['contacts', 'smartlist', 'workflows', 'calendars'])
const patches = fc.record(
  {
    customer_number: maybe(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 })),
    ticket_name: maybe(
      fc.oneof(
        word,
        word.map((text) => `  ${text}\n`)
      )
    ),
    phone_number: maybe(fc.integer({ min: 2_000_000_000, max: 9_999_999_999 }).map((digits) => `+1${digits}`)),
    money: maybe(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 })),
    type_of_ticket: maybe(fc.constantFrom('doubt', 'Bug', 'Feature Request')),
    section_of_app: maybe(
      fc.oneof(
        keys,
        keys.map((add) => ({ add })),
        keys.map((remove) => ({ remove }))
      )
    ),
    recieved_on: maybe(fc.constantFrom('2024-02-29', '1999-12-31', '2026-01-01')),
    my_files: maybe(files),
    my_textbox_list: maybe(fc.record({ option_a: maybe(word), 'Option B': word }, { requiredKeys: [] })),
    description: maybe(fc.string({ unit: 'grapheme', maxLength: 50 })),
    priority: maybe(fc.oneof(fc.constantFrom('low', 'High'), word)),
    contact_email: maybe(fc.constantFrom('Ada@Example.com', 'b@c.org')),
    unknown_to_none: fc.constant(undefined)
  },
  { requiredKeys: [] }
)

for (const kinds of [[], ['format']] as WriteQuirkName[][]) {
  t.test(`values that HighLevel rewrites are not reported, ${JSON.stringify(kinds)}`, async (t) => {
    const simulator = await startSimulator(t, { burstMax: 100_000 })
    const { patch } = await startGateway(t, { simulator, env: { LOCATION_BURST_MAX: '100000' } })
    simulator.setWriteQuirks(...kinds)

    await fc.assert(
      fc.asyncProperty(patches, async ({ unknown_to_none: _, ...properties }) => {
        if (Object.keys(properties).length === 0) return
        const { json } = await patch({ properties })
        if (json['record'] === undefined) throw new Error(JSON.stringify([properties, json]))
      }),
      { seed: 20261128, numRuns: 150, endOnFailure: true }
    )
    t.pass()
  })
}

const same: [sent: unknown, stored: unknown][] = [
  ['+14155550123', '(415) 555-0123'],
  ['+442071838750', '020 7183 8750'],
  ['0171 1234567', '+491711234567'],
  [1, '1'],
  [1, 1.0],
  [1425, '1,425.00'],
  [0.1, 0.1 + Number.EPSILON],
  [1.005, 1.01],
  ['2', 2],
  ['2024-07-12', '2024-07-12T00:00:00.000Z'],
  ['2024-07-12', '2024-07-11T22:00:00.000Z'],
  ['2024-07-12', '07/12/2024'],
  ['2024-07-12', '12.07.2024'],
  ['2024-07-12', Date.UTC(2024, 6, 12)],
  ['  text \n', 'text'],
  ['a\r\nb', 'a\nb'],
  ['Ada@Example.com', 'ada@example.com'],
  ['example.com', 'https://example.com/'],
  ['https://example.com/ä b', 'https://example.com/%C3%A4%20b'],
  ['<b>bold</b> & more', 'bold &amp; more'],
  ['a very long text', 'a very lo'],
  ['bug', 'Bug'],
  ['👍', ''],
  [
    { currency: 'default', value: 5 },
    { currency: 'USD', value: '5.00' }
  ],
  [{ currency: 'default', value: 5 }, 5],
  [5, { currency: 'USD', value: 5 }],
  [true, 'true'],
  ['bug', ['bug']]
]

const different: typeof same = [
  ['+14155550123', '+14155550199'],
  [5, 6],
  [5, '6'],
  ['2024-07-12', '2024-07-11'],
  ['2024-07-12', '2024-09-12T00:00:00Z'],
  ['2024-07-12', '1970-01-01'],
  ['new text', 'old text'],
  ['bug', 'doubt'],
  ['a@example.com', 'b@example.com'],
  [
    { currency: 'default', value: 5 },
    { currency: 'USD', value: 6 }
  ],
  [true, false]
]

t.test('two values differ only if one cannot be a rewriting of the other', async (t) => {
  for (const [sent, stored] of same) t.ok(isSameValue(sent, stored), JSON.stringify([sent, stored]))
  for (const [sent, stored] of different) t.notOk(isSameValue(sent, stored), JSON.stringify([sent, stored]))
})
