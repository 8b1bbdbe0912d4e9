import t from 'tap'
import { readObjectSchema } from '../../../src/schemas/object-schema.ts'
import { formerTypeErrors, planProperties, resolveWanted } from '../../../src/schemas/plan-properties.ts'

const OBJECT = 'custom_objects.car'

interface FieldInput {
  dataType: string
  options?: { key: string; label: string }[]
  allowCustomOption?: boolean
  maxFileLimit?: number
}

/**
 * What HighLevel is sent for a value of `part`, the only field of an object, or the errors. `held` is what the record
 * holds there.
 */
function sent(field: FieldInput, value: unknown, held: unknown = undefined, member = 'part') {
  const schema = readObjectSchema({
    object: { key: OBJECT, standard: false, labels: { singular: 'Car' } },
    fields: [{ name: 'Part', fieldKey: `${OBJECT}.part`, ...field }]
  })
  if (schema === undefined) throw new Error('The schema cannot be read')
  const plan = planProperties(schema, { [member]: value })
  const errors = plan.errors.map((error) => ('pointer' in error ? { pointer: error.pointer, code: error.code } : error))
  return errors.length > 0 ? errors : (resolveWanted(plan, { part: held }) ?? 'nothing')
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
  /** Each value with the properties that are sent for it. */
  accepted: [value: unknown, sent: unknown, held?: unknown][]
  rejected: [value: unknown, errors: ReturnType<typeof at>][]
}

const text = (dataType: string): Row => ({
  field: { dataType },
  accepted: [
    ['Audi', { part: 'Audi' }],
    ['', { part: '' }],
    [null, { part: null }]
  ],
  rejected: [
    [1, at('wrong-type')],
    [true, at('wrong-type')],
    [['Audi'], at('wrong-type')],
    [{ add: ['Audi'] }, at('wrong-type')]
  ]
})

/** For both data types that hold lists of options. */
const optionList = (dataType: string): Row => ({
  field: { dataType, options: OPTIONS },
  accepted: [
    [['red'], { part: { add: ['red'] } }],
    [['Dark blue', 'red', 'red'], { part: { add: ['dark_blue', 'red'] } }, null],
    [['red'], { part: { remove: ['dark_blue'] } }, ['red', 'dark_blue']],
    [['red'], { part: { add: ['red'], remove: ['dark_blue'] } }, ['dark_blue']],
    [['red'], { part: { remove: ['a leftover'] } }, ['Red', 'a leftover']],
    [['dark_blue', 'red'], 'nothing', ['red', 'dark_blue']],
    [[], { part: { remove: ['red'] } }, ['red']],
    [[], 'nothing', []],
    [null, { part: { remove: ['red', 'dark_blue'] } }, ['red', 'dark_blue']],
    [null, 'nothing', undefined],
    [{ add: ['Dark blue'], remove: ['red'] }, { part: { add: ['dark_blue'], remove: ['red'] } }],
    [{ add: [], remove: [] }, 'nothing'],
    [{ remove: ['red'] }, { part: { remove: ['red'] } }],
    // Other clients may have stored the label itself.
    [{ remove: ['Red', 'a leftover', 'Red'] }, { part: { remove: ['red', 'a leftover', 'Red'] } }],
    [null, { part: null }, 'of a former type'],
    [[], { part: null }, 'of a former type']
  ],
  rejected: [
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
    accepted: [
      ['x'.repeat(12_000), { part: 'x'.repeat(12_000) }],
      [null, { part: null }]
    ],
    rejected: [
      ['x'.repeat(12_001), at('too-long')],
      [5, at('wrong-type')]
    ]
  },
  EMAIL: {
    field: { dataType: 'EMAIL' },
    accepted: [
      ['ada@example.com', { part: 'ada@example.com' }],
      ['', { part: '' }],
      [null, { part: null }]
    ],
    rejected: [
      ['ada at example.com', at('bad-email')],
      ['@', at('bad-email')],
      [['ada@example.com'], at('wrong-type')]
    ]
  },
  NUMERICAL: {
    field: { dataType: 'NUMERICAL' },
    accepted: [
      [0, { part: 0 }],
      [-1.5, { part: -1.5 }],
      [null, { part: null }]
    ],
    rejected: [
      ['2', at('wrong-type')],
      ['', at('wrong-type')],
      [[2], at('wrong-type')]
    ]
  },
  PHONE: {
    field: { dataType: 'PHONE' },
    accepted: [
      ['+14155550123', { part: '+14155550123' }],
      ['+2904123', { part: '+2904123' }],
      [null, { part: null }]
    ],
    rejected: [
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
    accepted: [
      [5, { part: { currency: 'default', value: 5 } }],
      [{ value: 5 }, { part: { currency: 'default', value: 5 } }],
      [{ currency: 'default', value: 0.5 }, { part: { currency: 'default', value: 0.5 } }],
      [null, { part: null }]
    ],
    rejected: [
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
    accepted: [
      ['red', { part: 'red' }],
      ['Dark blue', { part: 'dark_blue' }],
      [null, { part: null }]
    ],
    rejected: [
      ['green', at('unknown-option')],
      ['', at('unknown-option')],
      [['red'], at('wrong-type')],
      [{ add: ['red'] }, at('wrong-type')]
    ]
  },
  RADIO: {
    field: { dataType: 'RADIO', options: OPTIONS, allowCustomOption: true },
    accepted: [
      ['Red', { part: 'red' }],
      ['a custom colour', { part: 'a custom colour' }],
      [null, { part: null }]
    ],
    rejected: [
      ['', at('unknown-option')],
      [1, at('wrong-type')]
    ]
  },
  MULTIPLE_OPTIONS: optionList('MULTIPLE_OPTIONS'),
  CHECKBOX: optionList('CHECKBOX'),
  DATE: {
    field: { dataType: 'DATE' },
    accepted: [
      ['2024-02-29', { part: '2024-02-29' }],
      ['1999-12-31', { part: '1999-12-31' }],
      [null, { part: null }]
    ],
    rejected: [
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
    accepted: [
      [{ red: 'a' }, { 'part.red': 'a' }],
      [
        { 'Dark blue': 'a', red: null },
        { 'part.dark_blue': 'a', 'part.red': null }
      ],
      [{}, 'nothing'],
      [null, { 'part.red': null, 'part.dark_blue': null }]
    ],
    rejected: [
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
    accepted: [
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
    rejected: [
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
    accepted: [
      ['x', { part: 'x' }],
      [['x'], { part: ['x'] }],
      [{ add: 1 }, { part: { add: 1 } }],
      [null, { part: null }]
    ],
    rejected: []
  }
}

for (const [name, { field, accepted, rejected }] of Object.entries(rows)) {
  t.test(`${name}: accepted values, and what HighLevel is sent for them`, async (t) => {
    for (const [value, wanted, held] of accepted) {
      t.strictSame(
        sent(field, value, held),
        wanted,
        `${JSON.stringify(value)?.slice(0, 80)} on ${JSON.stringify(held)}`
      )
    }
  })
  t.test(`${name}: rejected values, with the pointer and code of each error`, async (t) => {
    for (const [value, errors] of rejected) {
      t.strictSame(sent(field, value), errors, JSON.stringify(value)?.slice(0, 80) ?? '')
    }
  })
}

t.test('a field for which HighLevel lists no options takes any string but the empty one', async (t) => {
  t.strictSame(sent({ dataType: 'SINGLE_OPTIONS' }, 'red'), { part: 'red' })
  t.strictSame(sent({ dataType: 'SINGLE_OPTIONS' }, ''), at('unknown-option'))
  t.strictSame(sent({ dataType: 'CHECKBOX' }, { add: ['red'] }), { part: { add: ['red'] } })
  t.strictSame(sent({ dataType: 'CHECKBOX' }, [''], []), at('unknown-option', '/0'))
  const unlisted = { dataType: 'TEXTBOX_LIST' }
  t.strictSame(sent(unlisted, { red: 'a', blue: null }), { 'part.red': 'a', 'part.blue': null })
  t.strictSame(sent(unlisted, 'a', undefined, 'part.dark.blue'), { 'part.dark.blue': 'a' })
  t.strictSame(sent(unlisted, 5, undefined, 'part.red'), [{ pointer: '/properties/part.red', code: 'wrong-type' }])
  t.strictSame(sent(unlisted, 'a'), at('wrong-type'))
  t.strictSame(sent(unlisted, { '': 'a' }), at('unknown-option', '/'))
  t.strictSame(sent(unlisted, 'a', undefined, 'part.'), [{ pointer: '/properties/part.', code: 'unknown-field' }])
  t.strictSame(sent(unlisted, null), { part: null })
})

t.test(
  'thousands of misspelt names are checked within the time of a call, and fifty errors are reported',
  async (t) => {
    const options = Array.from({ length: 3_000 }, (_, i) => ({ key: `option_number_${i}`, label: `Option ${i}` }))
    const typos = Array.from({ length: 12_000 }, (_, i) => `optoin_numbr_${i}`)
    const boxes = Object.fromEntries(typos.map((name) => [name, 'x']))
    const since = performance.now()

    const [list, box] = [
      sent({ dataType: 'CHECKBOX', options }, typos),
      sent({ dataType: 'TEXTBOX_LIST', options }, boxes)
    ]

    t.equal((list as unknown[]).length, 50)
    t.equal((box as unknown[]).length, 50)
    // Comparing every item with every option took more than ten seconds.
    t.ok(performance.now() - since < 2_000)
  }
)

t.test('long names that share a prefix are compared quickly', async (t) => {
  const options = Array.from({ length: 5_000 }, (_, i) => ({ key: `${'an_option_of_'.repeat(4)}${i}`, label: `${i}` }))
  const typos = Array.from({ length: 10 }, (_, i) => `${'an_option_of_'.repeat(4)}x${i}`)
  const since = performance.now()

  const errors = sent({ dataType: 'CHECKBOX', options }, { add: typos })

  t.equal((errors as unknown[]).length, 10)
  // Comparing whole names took seconds.
  t.ok(performance.now() - since < 500)
})

t.test('a field is found by its full key, and a text box by its flat key', async (t) => {
  t.strictSame(sent({ dataType: 'TEXT' }, 'Audi', undefined, `${OBJECT}.part`), { part: 'Audi' })
  t.strictSame(sent({ dataType: 'TEXTBOX_LIST', options: OPTIONS }, 'a', undefined, 'part.red'), { 'part.red': 'a' })
  t.strictSame(sent({ dataType: 'TEXTBOX_LIST', options: OPTIONS }, null, undefined, `${OBJECT}.part.red`), {
    'part.red': null
  })
  t.strictSame(sent({ dataType: 'TEXT' }, 'Audi', undefined, 'custom_objects.cars.part'), [
    { pointer: '/properties/custom_objects.cars.part', code: 'unknown-field' }
  ])
})

t.test('a field that is set twice is rejected, whichever keys name it', async (t) => {
  const schema = readObjectSchema({
    object: { key: OBJECT },
    fields: [
      { name: 'Colours', fieldKey: `${OBJECT}.colours`, dataType: 'CHECKBOX', options: OPTIONS },
      { name: 'Doors', fieldKey: `${OBJECT}.doors`, dataType: 'NUMERICAL' }
    ]
  })
  const errorsOf = (properties: Record<string, unknown>) => schema && planProperties(schema, properties).errors

  t.match(errorsOf({ doors: 1, [`${OBJECT}.doors`]: 2 }), [
    { pointer: `/properties/${OBJECT}.doors`, code: 'duplicate-field' }
  ])
  t.match(errorsOf({ colours: ['red'], [`${OBJECT}.colours`]: { add: ['red'] } }), [{ code: 'duplicate-field' }])
  t.match(errorsOf({ colours: { add: ['red'] }, [`${OBJECT}.colours`]: [] }), [{ code: 'duplicate-field' }])
})

t.test('a field may be named like an inherited member of objects', async (t) => {
  const fields = [{ name: 'C', fieldKey: `${OBJECT}.constructor`, dataType: 'CHECKBOX', options: OPTIONS }]
  const schema = readObjectSchema({ object: { key: OBJECT }, fields })
  const plan = schema && planProperties(schema, { constructor: ['red'] })

  t.strictSame(plan && formerTypeErrors(plan, {}), [])
  t.equal(JSON.stringify(plan && resolveWanted(plan, {})), '{"constructor":{"add":["red"]}}')
})

t.test('an error suggests the nearest field, option or box', async (t) => {
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
  t.strictSame(details({ colour: 'nothing like it' }), ['is not an option of Colour: use one of "red", "dark_blue"'])
})

t.test('an answer without an object and its fields is rejected, and invalid fields are left out', async (t) => {
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
