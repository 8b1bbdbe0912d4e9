import t from 'tap'
import { readObjectSchema } from '../../../src/schemas/object-schema.ts'
import { leftoverErrors, planProperties, resolveWanted } from '../../../src/schemas/plan-properties.ts'

const OBJECT = 'custom_objects.car'

interface FieldInput {
  dataType: string
  options?: { key: string; label: string }[]
  allowCustomOption?: boolean
  maxFileLimit?: number
}

/** An object with this one field, `part`, and what HighLevel is sent for a value of it. */
function sent(field: FieldInput, value: unknown, held: unknown = undefined, member = 'part') {
  const schema = readObjectSchema({
    object: { key: OBJECT, standard: false, labels: { singular: 'Car' } },
    fields: [{ name: 'Part', fieldKey: `${OBJECT}.part`, ...field }]
  })
  if (schema === undefined) throw new Error('The schema cannot be read')
  const plan = planProperties(schema, { [member]: value })
  const faults = plan.errors.map((fault) => ('pointer' in fault ? { pointer: fault.pointer, code: fault.code } : fault))
  return faults.length > 0 ? faults : (resolveWanted(plan, { part: held }) ?? 'nothing')
}

const at = (code: string, path = '') => [{ pointer: `/properties/part${path}`, code }]

const OPTIONS = [
  { key: 'red', label: 'Red' },
  { key: 'dark_blue', label: 'Dark blue' }
]
const png = { url: 'https://files.example.com/1.png' }
const pdf = { url: 'https://files.example.com/2.pdf', name: 'Invoice' }

interface Row {
  field: FieldInput
  /** Value, and what is sent: `part` alone unless it is an object with members. */
  takes: [value: unknown, sent: unknown, held?: unknown][]
  refuses: [value: unknown, faults: ReturnType<typeof at>][]
}

const text = (dataType: string): Row => ({
  field: { dataType },
  takes: [
    ['Audi', { part: 'Audi' }],
    ['', { part: '' }],
    [null, { part: null }]
  ],
  refuses: [
    [1, at('wrong-type')],
    [true, at('wrong-type')],
    [['Audi'], at('wrong-type')],
    [{ add: ['Audi'] }, at('wrong-type')]
  ]
})

/** Lists of options in both data types that have them. */
const optionList = (dataType: string): Row => ({
  field: { dataType, options: OPTIONS },
  takes: [
    [['red'], { part: { add: ['red'] } }],
    [['Dark blue', 'red', 'red'], { part: { add: ['dark_blue', 'red'] } }, null],
    [['red'], { part: { remove: ['dark_blue'] } }, ['red', 'dark_blue']],
    [['red'], { part: { add: ['red'], remove: ['dark_blue'] } }, ['dark_blue']],
    [['red'], { part: { remove: ['an option of old'] } }, ['Red', 'an option of old']],
    [['dark_blue', 'red'], 'nothing', ['red', 'dark_blue']],
    [[], { part: { remove: ['red'] } }, ['red']],
    [[], 'nothing', []],
    [null, { part: { remove: ['red', 'dark_blue'] } }, ['red', 'dark_blue']],
    [null, 'nothing', undefined],
    [{ add: ['Dark blue'], remove: ['red'] }, { part: { add: ['dark_blue'], remove: ['red'] } }],
    [{ add: [], remove: [] }, 'nothing'],
    [{ remove: ['red'] }, { part: { remove: ['red'] } }],
    // The label may be what is stored, by others than this gateway.
    [{ remove: ['Red', 'an option of old', 'Red'] }, { part: { remove: ['red', 'an option of old', 'Red'] } }],
    [null, { part: null }, 'a text of old'],
    [[], { part: null }, 'a text of old']
  ],
  refuses: [
    ['red', at('wrong-type')],
    ['', at('wrong-type')],
    [true, at('wrong-type')],
    [{}, at('wrong-type')],
    [{ set: ['red'] }, at('wrong-type')],
    [{ add: ['red'], set: [] }, at('wrong-type')],
    [{ add: 'red' }, at('wrong-type', '/add')],
    [['green'], at('unknown-option', '/0')],
    [
      ['red', 5, null],
      [...at('wrong-type', '/1'), ...at('wrong-type', '/2')]
    ],
    [{ add: ['red', 'reed'], remove: ['blue'] }, at('unknown-option', '/add/1')],
    [{ add: ['red'], remove: ['', 5] }, [...at('unknown-option', '/remove/0'), ...at('wrong-type', '/remove/1')]],
    [{ add: ['red'], remove: ['Red'] }, at('conflict')]
  ]
})

const rows: Record<string, Row> = {
  TEXT: text('TEXT'),
  STANDARD_FIELD: text('STANDARD_FIELD'),
  LARGE_TEXT: {
    field: { dataType: 'LARGE_TEXT' },
    takes: [
      ['x'.repeat(12_000), { part: 'x'.repeat(12_000) }],
      [null, { part: null }]
    ],
    refuses: [
      ['x'.repeat(12_001), at('too-long')],
      [5, at('wrong-type')]
    ]
  },
  EMAIL: {
    field: { dataType: 'EMAIL' },
    takes: [
      ['ada@example.com', { part: 'ada@example.com' }],
      ['', { part: '' }],
      [null, { part: null }]
    ],
    refuses: [
      ['ada at example.com', at('bad-email')],
      ['@', at('bad-email')],
      [['ada@example.com'], at('wrong-type')]
    ]
  },
  NUMERICAL: {
    field: { dataType: 'NUMERICAL' },
    takes: [
      [0, { part: 0 }],
      [-1.5, { part: -1.5 }],
      [null, { part: null }]
    ],
    refuses: [
      ['2', at('wrong-type')],
      ['', at('wrong-type')],
      [[2], at('wrong-type')]
    ]
  },
  PHONE: {
    field: { dataType: 'PHONE' },
    takes: [
      ['+14155550123', { part: '+14155550123' }],
      ['+2904123', { part: '+2904123' }],
      [null, { part: null }]
    ],
    refuses: [
      ['0171 5550123', at('bad-phone')],
      ['+0171555012', at('bad-phone')],
      ['+1 415 555 0123', at('bad-phone')],
      ['+1234567890123456', at('bad-phone')],
      ['', at('bad-phone')],
      [14155550123, at('wrong-type')]
    ]
  },
  MONETORY: {
    field: { dataType: 'MONETORY' },
    takes: [
      [5, { part: { currency: 'default', value: 5 } }],
      [{ value: 5 }, { part: { currency: 'default', value: 5 } }],
      [{ currency: 'default', value: 0.5 }, { part: { currency: 'default', value: 0.5 } }],
      [null, { part: null }]
    ],
    refuses: [
      ['5', at('wrong-type')],
      [{ currency: 'EUR', value: 5 }, at('bad-currency', '/currency')],
      [{ currency: 'default' }, at('wrong-type')],
      [{ currency: 'default', value: '5' }, at('wrong-type')],
      [{ value: 5, cents: 0 }, at('wrong-type')],
      [[5], at('wrong-type')]
    ]
  },
  SINGLE_OPTIONS: {
    field: { dataType: 'SINGLE_OPTIONS', options: OPTIONS },
    takes: [
      ['red', { part: 'red' }],
      ['Dark blue', { part: 'dark_blue' }],
      [null, { part: null }]
    ],
    refuses: [
      ['green', at('unknown-option')],
      ['', at('unknown-option')],
      [['red'], at('wrong-type')],
      [{ add: ['red'] }, at('wrong-type')]
    ]
  },
  RADIO: {
    field: { dataType: 'RADIO', options: OPTIONS, allowCustomOption: true },
    takes: [
      ['Red', { part: 'red' }],
      ['as it came from the factory', { part: 'as it came from the factory' }],
      [null, { part: null }]
    ],
    refuses: [
      ['', at('unknown-option')],
      [1, at('wrong-type')]
    ]
  },
  MULTIPLE_OPTIONS: optionList('MULTIPLE_OPTIONS'),
  CHECKBOX: optionList('CHECKBOX'),
  DATE: {
    field: { dataType: 'DATE' },
    takes: [
      ['2024-02-29', { part: '2024-02-29' }],
      ['1999-12-31', { part: '1999-12-31' }],
      [null, { part: null }]
    ],
    refuses: [
      ['', at('bad-date')],
      ['2023-02-29', at('bad-date')],
      ['1900-02-29', at('bad-date')],
      ['2024-04-31', at('bad-date')],
      ['2024-13-01', at('bad-date')],
      ['2024-00-10', at('bad-date')],
      ['2024-01-00', at('bad-date')],
      ['2024-1-1', at('bad-date')],
      ['2024-01-01T00:00:00Z', at('bad-date')],
      [1704067200000, at('wrong-type')]
    ]
  },
  TEXTBOX_LIST: {
    field: { dataType: 'TEXTBOX_LIST', options: OPTIONS },
    takes: [
      [{ red: 'a' }, { 'part.red': 'a' }],
      [
        { 'Dark blue': 'a', red: null },
        { 'part.dark_blue': 'a', 'part.red': null }
      ],
      [{}, 'nothing'],
      [null, { 'part.red': null, 'part.dark_blue': null }]
    ],
    refuses: [
      ['a', at('wrong-type')],
      [['a'], at('wrong-type')],
      [{ green: 'a' }, at('unknown-option', '/green')],
      [{ 'a/b': 'a' }, at('unknown-option', '/a~1b')],
      [{ red: 5 }, at('wrong-type', '/red')],
      [{ red: 'a', Red: 'b' }, at('duplicate-field')]
    ]
  },
  FILE_UPLOAD: {
    field: { dataType: 'FILE_UPLOAD', maxFileLimit: 2 },
    takes: [
      [[png], { part: { add: [png] } }],
      [[png, pdf], { part: { add: [pdf] } }, [png]],
      [[pdf], { part: { add: [pdf], remove: [png] } }, [png]],
      [[{ ...png, meta: { size: 5 } }], { part: { add: [png], remove: [{ url: pdf.url }] } }, [pdf]],
      [[{ ...pdf, name: null }], 'nothing', [pdf]],
      [[{ ...pdf, name: 'Bill' }], 'nothing', [pdf]],
      [null, { part: null }, png.url],
      [{ remove: [{ url: '/relative' }] }, { part: { remove: [{ url: '/relative' }] } }],
      [[png, png], 'nothing', [{ ...png, meta: {} }]],
      [[], { part: { remove: [png] } }, [png]],
      [null, { part: { remove: [png, { url: pdf.url }] } }, [png, pdf]],
      [null, 'nothing'],
      [{ add: [pdf], remove: [png] }, { part: { add: [pdf], remove: [png] } }],
      [{ remove: [{ url: '/relative' }] }, { part: { remove: [{ url: '/relative' }] } }],
      [null, { part: null }, png.url],
      [[png], 'nothing', [png.url]]
    ],
    refuses: [
      [png.url, at('wrong-type')],
      [png, at('wrong-type')],
      [[png.url], at('wrong-type', '/0')],
      [[{ url: 5 }], at('wrong-type', '/0')],
      [[{ url: 'file:///etc/passwd' }], at('bad-url', '/0/url')],
      [[{ url: 'https://' }], at('bad-url', '/0/url')],
      [[{ ...png, name: 5 }], at('wrong-type', '/0/name')],
      [[png, png, pdf, { url: 'https://files.example.com/3' }], at('too-many')],
      [{ add: [png, pdf, { url: 'https://files.example.com/3' }] }, at('too-many', '/add')]
    ]
  },
  A_TYPE_OF_TOMORROW: {
    field: { dataType: 'A_TYPE_OF_TOMORROW' },
    takes: [
      ['x', { part: 'x' }],
      [['x'], { part: ['x'] }],
      [{ add: 1 }, { part: { add: 1 } }],
      [null, { part: null }]
    ],
    refuses: []
  }
}

for (const [name, { field, takes, refuses }] of Object.entries(rows)) {
  t.test(`${name}: what is taken, and what HighLevel is sent for it`, async (t) => {
    for (const [value, wanted, held] of takes) {
      t.strictSame(
        sent(field, value, held),
        wanted,
        `${JSON.stringify(value)?.slice(0, 80)} on ${JSON.stringify(held)}`
      )
    }
  })
  t.test(`${name}: what is refused, and where the fault is`, async (t) => {
    for (const [value, faults] of refuses) {
      t.strictSame(sent(field, value), faults, JSON.stringify(value)?.slice(0, 80) ?? '')
    }
  })
}

t.test('a field whose options HighLevel does not tell takes any but an empty one', async (t) => {
  t.strictSame(sent({ dataType: 'SINGLE_OPTIONS' }, 'red'), { part: 'red' })
  t.strictSame(sent({ dataType: 'SINGLE_OPTIONS' }, ''), at('unknown-option'))
  t.strictSame(sent({ dataType: 'CHECKBOX' }, { add: ['red'] }), { part: { add: ['red'] } })
  t.strictSame(sent({ dataType: 'CHECKBOX' }, [''], []), at('unknown-option', '/0'))
  const untold = { dataType: 'TEXTBOX_LIST' }
  t.strictSame(sent(untold, { red: 'a', blue: null }), { 'part.red': 'a', 'part.blue': null })
  t.strictSame(sent(untold, 'a', undefined, 'part.dark.blue'), { 'part.dark.blue': 'a' })
  t.strictSame(sent(untold, 5, undefined, 'part.red'), [{ pointer: '/properties/part.red', code: 'wrong-type' }])
  t.strictSame(sent(untold, 'a'), at('wrong-type'))
  t.strictSame(sent(untold, { '': 'a' }), at('unknown-option', '/'))
  t.strictSame(sent(untold, 'a', undefined, 'part.'), [{ pointer: '/properties/part.', code: 'unknown-field' }])
  t.strictSame(sent(untold, null), { part: null })
})

t.test('thousands of slips are told within the time of a call, and fifty of them shown', async (t) => {
  const options = Array.from({ length: 3_000 }, (_, i) => ({ key: `option_number_${i}`, label: `Option ${i}` }))
  const slips = Array.from({ length: 12_000 }, (_, i) => `optoin_numbr_${i}`)
  const boxes = Object.fromEntries(slips.map((name) => [name, 'x']))
  const since = performance.now()

  const [list, box] = [
    sent({ dataType: 'CHECKBOX', options }, slips),
    sent({ dataType: 'TEXTBOX_LIST', options }, boxes)
  ]

  t.equal((list as unknown[]).length, 50)
  t.equal((box as unknown[]).length, 50)
  // It took more than ten seconds where every entry was compared with every option.
  t.ok(performance.now() - since < 2_000)
})

t.test('names that are much alike are compared in little time', async (t) => {
  const options = Array.from({ length: 5_000 }, (_, i) => ({ key: `${'an_option_of_'.repeat(4)}${i}`, label: `${i}` }))
  const slips = Array.from({ length: 10 }, (_, i) => `${'an_option_of_'.repeat(4)}x${i}`)
  const since = performance.now()

  const faults = sent({ dataType: 'CHECKBOX', options }, { add: slips })

  t.equal((faults as unknown[]).length, 10)
  // It took seconds where each was compared as a whole.
  t.ok(performance.now() - since < 500)
})

t.test('a full field key is taken for the short one, and a box of a list by its flat key', async (t) => {
  t.strictSame(sent({ dataType: 'TEXT' }, 'Audi', undefined, `${OBJECT}.part`), { part: 'Audi' })
  t.strictSame(sent({ dataType: 'TEXTBOX_LIST', options: OPTIONS }, 'a', undefined, 'part.red'), { 'part.red': 'a' })
  t.strictSame(sent({ dataType: 'TEXTBOX_LIST', options: OPTIONS }, null, undefined, `${OBJECT}.part.red`), {
    'part.red': null
  })
  t.strictSame(sent({ dataType: 'TEXT' }, 'Audi', undefined, 'custom_objects.cars.part'), [
    { pointer: '/properties/custom_objects.cars.part', code: 'unknown-field' }
  ])
})

t.test('a field that is named twice is refused, whatever the names', async (t) => {
  const schema = readObjectSchema({
    object: { key: OBJECT },
    fields: [
      { name: 'Colours', fieldKey: `${OBJECT}.colours`, dataType: 'CHECKBOX', options: OPTIONS },
      { name: 'Doors', fieldKey: `${OBJECT}.doors`, dataType: 'NUMERICAL' }
    ]
  })
  const faultsOf = (properties: Record<string, unknown>) => schema && planProperties(schema, properties).errors

  t.match(faultsOf({ doors: 1, [`${OBJECT}.doors`]: 2 }), [
    { pointer: `/properties/${OBJECT}.doors`, code: 'duplicate-field' }
  ])
  t.match(faultsOf({ colours: ['red'], [`${OBJECT}.colours`]: { add: ['red'] } }), [{ code: 'duplicate-field' }])
  t.match(faultsOf({ colours: { add: ['red'] }, [`${OBJECT}.colours`]: [] }), [{ code: 'duplicate-field' }])
})

t.test('a field may be called as what every object has', async (t) => {
  const fields = [{ name: 'C', fieldKey: `${OBJECT}.constructor`, dataType: 'CHECKBOX', options: OPTIONS }]
  const schema = readObjectSchema({ object: { key: OBJECT }, fields })
  const plan = schema && planProperties(schema, { constructor: ['red'] })

  t.strictSame(plan && leftoverErrors(plan, {}), [])
  t.equal(JSON.stringify(plan && resolveWanted(plan, {})), '{"constructor":{"add":["red"]}}')
})

t.test('what was probably meant is named', async (t) => {
  const schema = readObjectSchema({
    object: { key: OBJECT, labels: { singular: 'Car' } },
    fields: [
      { name: 'Colour', fieldKey: `${OBJECT}.colour`, dataType: 'SINGLE_OPTIONS', options: OPTIONS },
      { name: 'Trim', fieldKey: `${OBJECT}.trim`, dataType: 'TEXTBOX_LIST', options: OPTIONS }
    ]
  })
  const details = (properties: Record<string, unknown>) =>
    schema && planProperties(schema, properties).errors.map(({ detail }) => detail)

  t.strictSame(details({ Color: 'red', colour: 'drak blue', engine: 1, trim: { rde: 'x' } }), [
    'is not a field of Car: did you mean "colour"?',
    'is not an option of Colour: did you mean "dark_blue"?',
    'is not a field of Car',
    'is not a box of Trim: did you mean "red"?'
  ])
  t.strictSame(details({ colour: 'nothing like it' }), ['is not an option of Colour: it takes "red", "dark_blue"'])
})

t.test('an answer that is no object with fields is not taken for one, and odd fields are left out', async (t) => {
  for (const body of [
    null,
    [],
    'x',
    {},
    { object: {} },
    { object: { key: OBJECT } },
    { object: { key: OBJECT }, fields: {} }
  ]) {
    t.equal(readObjectSchema(body), undefined)
  }
  const schema = readObjectSchema({
    object: { key: OBJECT },
    fields: [
      null,
      {},
      { fieldKey: 5 },
      { fieldKey: `${OBJECT}.a` },
      { fieldKey: 'custom_object.car.b', dataType: 'TEXT' }
    ]
  })
  t.strictSame([...(schema?.fields.keys() ?? [])], ['b'], 'HighLevel’s documents misspell the prefix')
})
