import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import fc from 'fast-check'
import t from 'tap'
import { propertiesSchema } from '../../src/objects/json-schema.ts'
import { readObjectSchema } from '../../src/objects/object-schema.ts'
import { planProperties } from '../../src/objects/properties.ts'
import { valueFaults } from '../../src/records/values.ts'
import { TICKET } from '../simulator/seed-objects.ts'

const schema = readObjectSchema({ object: TICKET, fields: TICKET.fields })
if (schema === undefined) throw new Error('The ticket cannot be read')
const keyOf = (dataType: string): string => {
  const field = [...schema.fields.values()].find((one) => one.dataType === dataType)
  if (field === undefined) throw new Error(`The ticket has no ${dataType}`)
  return field.key
}

const ajv = formats.default(new Ajv2020({ strict: false }))
const fitsSchema = ajv.compile(propertiesSchema(schema))
/** What a PATCH says of the same properties. */
const passesCheck = (properties: Record<string, unknown>): boolean =>
  valueFaults({ properties }).length === 0 && planProperties(schema, properties).faults.length === 0

const file = (url: string) => ({ [keyOf('FILE_UPLOAD')]: [{ url }] })

const goodUrls = [
  'http://a',
  'https://files.example.com/a/b.pdf?x=1#y',
  'HTTPS://Files.Example.com/',
  'http://a:80/',
  'http://a:65535',
  'http://127.0.0.1:8080/x',
  'http://localhost./x',
  'http://xn--bcher-kva.example/x',
  'http://3com.example/x',
  'https://a.example/ü%20x',
  'http://a?q',
  'http://a#f'
]
const badUrls = [
  'http://256.1/',
  'http://1.2.3/',
  'http://a.1/',
  'http://a.0x1/',
  'http://user@/x',
  'http://user@a/x',
  'http://user:secret@a/x',
  'http://#f',
  'http://?q',
  'http:///x',
  'http://',
  'http:a',
  'ftp://a/x',
  'http://a:99999/',
  'http://a:65536/',
  'http://a:x/',
  'http://a b/',
  'http://a/b c',
  'http://a/\n',
  'http://a/\u0000',
  'http://-a/',
  'http://a..b/',
  'http://[::1]/',
  'http://bücher.example/',
  'javascript:alert(1)',
  ''
]

t.test('a file is known by the same URLs to the schema and to a write', async (t) => {
  for (const url of goodUrls) t.strictSame([fitsSchema(file(url)), passesCheck(file(url))], [true, true], url)
  for (const url of badUrls) t.strictSame([fitsSchema(file(url)), passesCheck(file(url))], [false, false], url)
  for (const url of goodUrls) t.ok(URL.canParse(url), `${url} is a URL to others too`)
})

const texts = ['TEXT', 'LARGE_TEXT', 'EMAIL', 'PHONE', 'DATE'].filter((type) =>
  [...schema.fields.values()].some(({ dataType }) => dataType === type)
)

t.test('no text holds a NUL or half of a surrogate pair', async (t) => {
  for (const odd of ['\u0000', 'a\u0000b', '\ud800', 'x\udc00', '\udc00\ud800']) {
    for (const type of ['TEXT', 'LARGE_TEXT']) {
      const properties = { [keyOf(type)]: odd }
      t.strictSame([fitsSchema(properties), passesCheck(properties)], [false, false], `${type} ${JSON.stringify(odd)}`)
    }
    const [fault] = valueFaults({ properties: { list: [{ text: odd }] } })
    t.match(fault, { pointer: '/properties/list/0/text', code: 'bad-format' })
    t.match(valueFaults({ properties: { [odd]: 1 } }), [{ code: 'bad-format' }])
  }
  for (const fine of ['', '😀', 'é\n\t', '\ud83d\ude00'])
    t.strictSame([fitsSchema({ [keyOf('TEXT')]: fine }), passesCheck({ [keyOf('TEXT')]: fine })], [true, true])
})

t.test('a large text is measured in characters by both', async (t) => {
  for (const [text, fits] of [
    ['😀'.repeat(12_000), true],
    ['😀'.repeat(12_001), false]
  ] as const) {
    const properties = { [keyOf('LARGE_TEXT')]: text }
    t.strictSame([fitsSchema(properties), passesCheck(properties)], [fits, fits])
  }
})

t.test('boxes that HighLevel does not tell have names, and the schema says so', async (t) => {
  const untold = {
    ...TICKET.fields.find(({ dataType }) => dataType === 'TEXTBOX_LIST'),
    picklistOptions: [],
    options: []
  }
  const object = readObjectSchema({ object: TICKET, fields: [untold] as typeof TICKET.fields })
  const [field] = object?.fields.values() ?? []
  if (object === undefined || field === undefined) throw new Error('The boxes cannot be read')
  t.strictSame(field.options.all, [])
  const fits = ajv.compile(propertiesSchema(object))
  for (const [name, isGood] of [
    ['a', true],
    ['', false],
    ['\n', true],
    ['x'.repeat(128), true],
    ['x'.repeat(129), false],
    ['\u0000', false]
  ] as const) {
    const properties = { [field.key]: { [name]: 'text' } }
    const passes = valueFaults({ properties }).length === 0 && planProperties(object, properties).faults.length === 0
    t.strictSame([fits(properties), passes], [isGood, isGood], JSON.stringify(name))
  }
})

t.test('whatever the text, the schema and a write agree on it', async () => {
  const odd = fc.string({
    unit: fc.constantFrom(...'a0.:/?#@-[]% \n\u0000\ud800é😀', 'http://', '.1', ':99'),
    maxLength: 12
  })
  const value = fc.oneof(
    odd,
    odd.map((text) => `http://${text}`),
    fc.string({ unit: 'binary' })
  )
  fc.assert(
    fc.property(fc.constantFrom(...texts), value, (type, text) => {
      for (const properties of [{ [keyOf(type)]: text }, file(text)])
        if (fitsSchema(properties) !== passesCheck(properties)) throw new Error(JSON.stringify(properties))
    }),
    { seed: 20261128, numRuns: 20_000, endOnFailure: true }
  )
})
