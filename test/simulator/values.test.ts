import t from 'tap'
import { SEED } from './seed.ts'
import { openSimulator } from './test-client.ts'

const UNEXPECTED = (field: string) => `We couldn't apply updates to ${field} due to an unexpected format.`
const UNREADABLE_FILES = "We couldn't process file updates for My Files."
const LONG = 'x'.repeat(12_001)
const FILES = ['a', 'b', 'c'].map((name) => ({ url: `https://files.example.com/${name}` }))

const STORED: [name: string, properties: Record<string, unknown>, stored: Record<string, unknown>][] = [
  ['a text unchanged', { ticket_name: 'New' }, { ticket_name: 'New' }],
  ['the longest large text', { description: LONG.slice(1) }, { description: LONG.slice(1) }],
  ['a number', { customer_number: 2 }, { customer_number: 2 }],
  ['a number that was sent as a string', { customer_number: '2' }, { customer_number: 2 }],
  ['a phone number', { phone_number: '+15125550100' }, { phone_number: '+15125550100' }],
  ['money', { money: { currency: 'default', value: 5 } }, { money: { currency: 'default', value: 5 } }],
  [
    'a label unchanged, although it is not a key',
    { type_of_ticket: 'Feature Request' },
    { type_of_ticket: 'Feature Request' }
  ],
  ['a custom RADIO value', { priority: 'Whenever' }, { priority: 'Whenever' }],
  ['a date', { recieved_on: '2026-02-28' }, { recieved_on: '2026-02-28' }],
  ['1970 for an empty date', { recieved_on: '' }, { recieved_on: '1970-01-01' }],
  ['an email', { contact_email: 'a@example.com' }, { contact_email: 'a@example.com' }],
  ['one option of a TEXTBOX_LIST', { 'my_textbox_list.option_a': 'x' }, { 'my_textbox_list.option_a': 'x' }],
  [
    'null for a cleared field',
    { ticket_name: null, section_of_app: null },
    { ticket_name: null, section_of_app: null }
  ],
  ['null for every option of a cleared TEXTBOX_LIST', { my_textbox_list: null }, { 'my_textbox_list.option_b': null }],
  [
    'a delta',
    { section_of_app: { add: ['workflows'], remove: ['contacts'] } },
    { section_of_app: ['smartlist', 'workflows'] }
  ],
  [
    'the same list for a delta without effect',
    { section_of_app: { add: ['contacts'] } },
    { section_of_app: ['contacts', 'smartlist'] }
  ],
  [
    'nothing for a MULTIPLE_OPTIONS label',
    { section_of_app: { add: ['Workflows'] } },
    { section_of_app: ['contacts', 'smartlist'] }
  ],
  ['the key of a CHECKBOX label', { tags: { add: ['Needs Reply'] } }, { tags: ['needs_reply'] }],
  ['null for options sent as a string', { section_of_app: 'contacts' }, { section_of_app: null }],
  ['null for options sent as a boolean', { tags: true }, { tags: null }],
  ['null for a file sent as a string', { my_files: 'https://files.example.com/a' }, { my_files: null }],
  [
    'added and removed files',
    { my_files: { add: FILES.slice(0, 1), remove: [{ url: 'https://files.example.com/screenshot.png' }] } },
    { my_files: FILES.slice(0, 1) }
  ]
]

const REJECTED: [name: string, properties: Record<string, unknown>, status: number, message: string][] = [
  ['a full field key', { 'custom_objects.ticket.ticket_name': 'x' }, 400, "couldn't validate the mapped field"],
  ['an unknown field', { colour: 'red' }, 400, 'Invalid Key Passed'],
  ['an unknown option of a TEXTBOX_LIST', { 'my_textbox_list.option_z': 'x' }, 400, 'Invalid Key Passed'],
  ['a TEXTBOX_LIST as an object', { my_textbox_list: { option_a: 'x' } }, 422, UNEXPECTED('My Textbox List')],
  ['a text that is not a string', { ticket_name: 4 }, 422, UNEXPECTED('Ticket Name')],
  [
    'a large text that is too long',
    { description: LONG },
    400,
    `${LONG} exceeds the 12,000 character limit for Description.`
  ],
  ['a number that is not numeric', { customer_number: 'two' }, 422, UNEXPECTED('Customer Number')],
  [
    'a phone number with a leading zero',
    { phone_number: '+0512555010' },
    400,
    'Phone Number is not a valid phone number.'
  ],
  ['a bare amount', { money: 100 }, 400, 'Money is missing a currency code'],
  ['an amount without a currency', { money: { value: 100 } }, 400, 'Money is missing a currency code'],
  ['a real currency', { money: { currency: 'USD', value: 1 } }, 400, 'Money has an unsupported currency code'],
  ['a date that does not exist', { recieved_on: '2026-02-30' }, 400, 'Recieved On is not a valid date.'],
  ['a date with a time', { recieved_on: '2026-02-28T10:00:00Z' }, 400, 'Recieved On is not a valid date.'],
  ['options as an array', { section_of_app: ['contacts'] }, 422, UNEXPECTED('Section Of App')],
  ['a delta with an unknown member', { tags: { set: ['urgent'] } }, 422, UNEXPECTED('Tags')],
  ['files as an array', { my_files: FILES }, 422, UNREADABLE_FILES],
  ['a file instead of a delta', { my_files: { ...FILES[0], meta: {} } }, 422, UNREADABLE_FILES],
  ['too many files', { my_files: { add: FILES } }, 400, 'Too many files for My Files. Maximum allowed: 3.']
]

t.test('a PUT stores', async (t) => {
  for (const [name, properties, stored] of STORED) {
    t.test(name, async (t) => {
      const { put, properties: now } = await openSimulator(t)

      const reply = await put({ properties })

      t.match(reply, { status: 200, body: { record: { id: SEED.recordId, properties: stored }, traceId: /.+/ } })
      t.strictSame(Object.fromEntries(Object.keys(stored).map((key) => [key, now()[key]])), stored)
      t.equal(now()['external_id'], 'T-1424', 'other fields are unchanged')
    })
  }
})

t.test('a PUT is rejected as a whole because of', async (t) => {
  const { put, properties: now } = await openSimulator(t)
  const before = now()

  for (const [name, properties, status, message] of REJECTED) {
    const reply = await put({ properties: { ticket_name: 'Written first', ...properties } })

    t.match(reply, { status, body: { message, statusCode: status, traceId: /.+/ } }, name)
  }
  t.strictSame(now(), before)
})

t.test('a duplicate value of a unique field is rejected with 400', async (t) => {
  const { put } = await openSimulator(t)
  const message = 'A record with the same value for External ID - T-1425 already exists.'
  const errors = [{ errorCode: 'duplicate_record', message, field: 'external_id' }]

  t.match(await put({ properties: { external_id: 'T-1425' } }), {
    status: 400,
    body: { message, errors, statusCode: 400 }
  })
  t.equal((await put({ properties: { external_id: 'T-1424' } })).status, 200, 'the record’s own value is no duplicate')
  t.equal((await put({ properties: { external_id: 'T-7' } })).status, 200, 'nor is that of another location')
})

t.test('a stored value of a former data type fails both adding and removing', async (t) => {
  const { put, simulator } = await openSimulator(t)
  simulator.putRecord(SEED.schemaKey, { id: SEED.recordId, properties: { tags: 'leftover' } })

  const [added, removed] = [
    await put({ properties: { tags: { add: ['urgent'] } } }),
    await put({ properties: { tags: { remove: ['urgent'] } } })
  ]

  t.match(added, { status: 500, body: { message: 'Something went wrong' } })
  t.match(removed, { status: 400, body: { message: "Tags includes values that don't match what's saved." } })
})
