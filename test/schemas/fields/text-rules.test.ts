import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import fc from 'fast-check'
import t from 'tap'
import { bodyLimitErrors } from '../../../src/records/body-limits.ts'
import { propertiesSchema } from '../../../src/schemas/json-schema.ts'
import { readObjectSchema } from '../../../src/schemas/object-schema.ts'
import { planProperties } from '../../../src/schemas/plan-properties.ts'

const OBJECT = 'custom_objects.car'
const TYPES = ['TEXT', 'LARGE_TEXT', 'EMAIL', 'PHONE', 'DATE', 'RADIO', 'CHECKBOX', 'TEXTBOX_LIST', 'FILE_UPLOAD']

const read = readObjectSchema({
  object: { key: OBJECT },
  fields: TYPES.map((dataType) => ({ name: dataType, fieldKey: `${OBJECT}.${dataType}`, dataType }))
})
if (read === undefined) throw new Error('The object is invalid')
const schema = read
const published = JSON.parse(JSON.stringify(propertiesSchema(schema)))

/** A frontend's check of the published schema. Validators differ in whether they read patterns with the flag `u`. */
const validators = [true, false].map((unicodeRegExp) => {
  const ajv = new Ajv2020({ unicodeRegExp, strict: false })
  formats.default(ajv)
  return ajv.compile(published)
})

const passes = (properties: Record<string, unknown>): boolean =>
  bodyLimitErrors({ properties }, true).length === 0 && planProperties(schema, properties).errors.length === 0

/** Whether a value of the field is accepted. Throws where the schema and the gateway disagree. */
function isAccepted(key: string, value: unknown): boolean {
  const properties = { [key]: value }
  const [checked, ...others] = [passes(properties), ...validators.map((validate) => validate(properties))]
  if (others.some((result) => result !== checked))
    throw new Error(`${key}: PATCH says ${checked}, the schema ${others}: ${JSON.stringify(value)?.slice(0, 300)}`)
  return checked === true
}

const goodUrls = [
  'http://3com.example/x',
  'https://files.example.com/a/b%20c.pdf?x=1#y',
  'http://a',
  'https://a.b/',
  'HTTP://a.b/c',
  'HtTpS://A.B:443/c?d=e#f',
  'http://a.b.',
  'http://1.2.3.4/x',
  'http://255.255.255.255',
  'http://1a.2b/x',
  'http://a:65535/',
  'http://a:/',
  'http://a?q',
  'http://a#f',
  'https://a.b/with blanks/ä/😀.png?x=[1]',
  'https://xn--bcher-kva.example/x',
  'https://under_score.example/x'
]
const badUrls = [
  'http://user@a.b/x',
  'http://user:word@a.b/x',
  'https://bücher.example/x',
  'http://-a/',
  'http://[::1]/',
  '',
  'x',
  '/relative',
  'a.b/c',
  'ftp://a.b/c',
  'file:///etc/passwd',
  'javascript:alert(1)',
  'http:',
  'http://',
  'http:///',
  'http:/a.b',
  'http:a.b',
  'http:\\\\a.b',
  'http://\\a.b',
  'http://256.1/',
  'http://1.2.3.256/',
  'http://1.2.3/',
  'http://1.2.3.4.5/',
  'http://0xffffffffff/',
  'http://a.0x/',
  'http://a.1/',
  'http://user@/x',
  'http://user:word@/x',
  'http://@/',
  'http://@@a/',
  'http://#f',
  'http://?q',
  'http://:80/',
  'http://a:99999/',
  'http://a:65536/',
  'http://a:b/',
  'http://a:-1/',
  'http://a b/',
  'http://a%zz/',
  'http://a<b/',
  'http://a..b/',
  'http://.a/',
  'http://./',
  'http://[::1/',
  'http://[:::]/',
  'http://[v1.x]/',
  ' http://a.b/',
  'http://a.b/\n',
  'http://a.b/\tc',
  'http://\ta.b/',
  'ht\ntp://a.b/',
  'http://a.b/\0',
  'http://a.b/\ud800',
  'http://\udc00.b/',
  'http://a\ud800@b/'
]

t.test('the published schema and PATCH accept the same file URLs', async (t) => {
  for (const url of goodUrls) {
    t.ok(isAccepted('FILE_UPLOAD', [{ url }]), url)
    t.ok(isAccepted('FILE_UPLOAD', { add: [{ url }] }), url)
    t.ok(URL.canParse(url), url)
  }
  for (const url of badUrls) {
    t.notOk(isAccepted('FILE_UPLOAD', [{ url }]), JSON.stringify(url))
    t.notOk(isAccepted('FILE_UPLOAD', { add: [{ url }] }), JSON.stringify(url))
  }
})

t.test('they accept the same dates, even where a validator ignores formats', async (t) => {
  const withoutFormats = new Ajv2020({ strict: false, validateFormats: false }).compile(published)

  let days = 0
  for (const year of ['0000', '1900', '2000', '2023', '2024', '2100', '9999'])
    for (let month = 0; month <= 13; month += 1)
      for (let day = 0; day <= 32; day += 1) {
        const text = `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`
        const at = new Date(`${text}T00:00:00Z`)
        const isDay = !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text)
        if (isAccepted('DATE', text) !== isDay || withoutFormats({ DATE: text }) !== isDay) t.fail(text)
        if (isDay) days += 1
      }
  t.equal(days, 4 * 365 + 3 * 366)
  for (const text of [
    '',
    '2024-1-1',
    '2024-01-01T00:00:00Z',
    ' 2024-01-01',
    '2024-01-01\n',
    '02024-01-01',
    '２０２４-01-01'
  ])
    t.notOk(isAccepted('DATE', text), JSON.stringify(text))
})

t.test('they accept the same names of text boxes', async (t) => {
  for (const name of ['x', 'a b', 'a.b', 'a/b', 'a\nb', '😀', 'constructor', 'x'.repeat(128), '😀'.repeat(128)])
    t.ok(isAccepted('TEXTBOX_LIST', { [name]: 'text' }), name)
  for (const name of ['', 'x'.repeat(129), '😀'.repeat(129), 'a\0', '\ud83d', '\ude00', '\ude00\ud83d'])
    t.notOk(isAccepted('TEXTBOX_LIST', { [name]: 'text' }), JSON.stringify(name))
})

t.test('they count the length of a large text in characters', async (t) => {
  t.ok(isAccepted('LARGE_TEXT', '😀'.repeat(12_000)))
  t.notOk(isAccepted('LARGE_TEXT', '😀'.repeat(12_001)))
  t.notOk(isAccepted('LARGE_TEXT', 'x'.repeat(12_001)))
})

const invalidTexts = ['\0', 'a\0b', '\ud800', 'a\udc00', '\udc00\ud800', '😀\udc00', '\ud83d😀']

t.test('both reject NUL and lone surrogates wherever a string can stand', async (t) => {
  const places: [string, (text: string) => unknown][] = [
    ['TEXT', (text) => text],
    ['LARGE_TEXT', (text) => text],
    ['EMAIL', (text) => `${text}@example.com`],
    ['EMAIL', (text) => `ada@${text}`],
    ['RADIO', (text) => text],
    ['CHECKBOX', (text) => [text]],
    ['CHECKBOX', (text) => ({ remove: [text] })],
    ['TEXTBOX_LIST', (text) => ({ box: text })],
    ['FILE_UPLOAD', (text) => [{ url: 'https://a.b/c', name: text }]],
    ['FILE_UPLOAD', (text) => ({ remove: [{ url: text }] })]
  ]
  for (const [key, of] of places) {
    for (const text of ['a', 'ä', '😀', 'a😀b', '\ufffe\uffff']) t.ok(isAccepted(key, of(text)), `${key} ${text}`)
    for (const text of invalidTexts) t.notOk(isAccepted(key, of(text)), `${key} ${JSON.stringify(text)}`)
  }
})

/** Strings built from pieces that mean something to one of the rules. */
const pieces = fc
  .array(
    fc.oneof(
      fc.constantFrom('http', 'HTTPS', '://', 'a', 'ä', '😀', '.', '@', ':', '/', '?', '#', '\\', '[', ']', '%', '%41'),
      fc.constantFrom(
        '1',
        '256',
        '65536',
        '0x1',
        '0',
        '-',
        '2024-02-29',
        '+14155550123',
        ' ',
        '\n',
        '\u3000',
        '\ufeff'
      ),
      fc.constantFrom('\0', '\x7f', '\x85', '\ud800', '\udc00', '{', '|', '}', '^', '`', '"', '<', '>', '_', '~', '!'),
      fc.string({ unit: 'binary', maxLength: 2 })
    ),
    { maxLength: 8 }
  )
  .map((list) => list.join(''))
const text = fc.oneof(
  pieces,
  pieces.map((more) => `http://${more}`),
  pieces.map((more) => `https://a.b${more}`),
  pieces.map((more) => `a@${more}`)
)

t.test('they agree on random strings in every place', async (t) => {
  const places = fc.constantFrom<[string, (text: string) => unknown]>(
    ...TYPES.slice(0, 6).map((key): [string, (text: string) => unknown] => [key, (text) => text]),
    ['CHECKBOX', (text) => [text]],
    ['TEXTBOX_LIST', (text) => ({ [text.replace('__proto__', '')]: text })],
    ['FILE_UPLOAD', (text) => [{ url: text }]],
    ['FILE_UPLOAD', (text) => ({ add: [{ url: text, name: text }] })],
    ['FILE_UPLOAD', (text) => ({ remove: [{ url: text }] })]
  )
  let accepted = 0
  fc.assert(
    fc.property(places, text, ([key, of], value) => {
      if (isAccepted(key, of(value))) accepted += 1
    }),
    { seed: 20261128, numRuns: 30_000, endOnFailure: true }
  )
  t.ok(accepted > 3_000, `${accepted} are accepted`)
})
