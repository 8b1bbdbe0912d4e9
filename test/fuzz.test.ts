import fc from 'fast-check'
import t from 'tap'
import { SEED } from './simulator/seed.ts'
import { PASS_THROUGH } from './support/calls.ts'
import { startGateway, startSimulator } from './support/harness.ts'

const CASES = 1_200

/** Segments that a hostile or broken client may put into a path or query. */
const segment = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }).map((text) => encodeURIComponent(text.toWellFormed())),
  fc
    .string({ unit: fc.constantFrom(...'%2F.\\/:;?#&=+ ~aZ0_-$'), maxLength: 20 })
    .map((text) => text.replace(/[ #?]/g, '_')),
  fc.constantFrom(
    '..',
    '%2e%2e',
    '%2F',
    'a%2Fb',
    '%00',
    'a%00b',
    '%zz',
    '%',
    '.',
    '',
    'custom_objects..ticket',
    'a'.repeat(129),
    'a'.repeat(3_000),
    '%C0%AF',
    '%ED%A0%80',
    'custom_objects.ticket%20',
    '__proto__',
    'constructor'
  )
)
const query = fc.oneof(
  fc.record({ locationId: segment }).map(({ locationId }) => `locationId=${locationId}`),
  segment.map((text) => `${text}=1`),
  fc.constantFrom(
    '',
    'locationId=a&locationId=b',
    'locationId[]=a',
    'locationId[a]=b',
    'locationId',
    '__proto__=1',
    'locationId=a%00'
  )
)
/** Invalid bodies: each lacks a required member of a patch or has a forbidden one. */
const body = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  fc.json({ maxDepth: 4 }).filter((text) => !/^\{.*"(properties|owner|followers)"/s.test(text)),
  fc
    .anything({ withNullPrototype: false })
    .map((value) => JSON.stringify({ surprise: String(value), properties: { a: 1 } })),
  fc.constantFrom(
    '',
    '[',
    '{}',
    'null',
    '[]',
    '"x"',
    '{"properties":null}',
    '{"properties":{}}',
    '{"properties":[1]}',
    '{"owner":[1]}',
    '{"owner":{"set":[]}}',
    '{"followers":{}}',
    '{"properties":{"a":1e999}}',
    '{"properties":{"a":{"__proto__":1}}}',
    '{"__proto__":{}}',
    '{"constructor":{"prototype":{}},"properties":{"a":1}}',
    `{"properties":{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`,
    '\ufeff{"properties":{"a":1}}',
    '{"properties":{"":1}}',
    '{"properties":{"a":1},"properties":7}'
  )
)
const headers = fc.record(
  {
    'content-type': fc.constantFrom(
      'application/json',
      'application/json; charset=utf-8',
      'application/merge-patch+json',
      'text/plain',
      'application/json;',
      '',
      'multipart/form-data; boundary=x',
      '*/*'
    ),
    'x-request-id': fc.string({ unit: fc.constantFrom(...'abc-. \t"\\{}<>'), maxLength: 200 }),
    traceparent: fc.string({ unit: fc.constantFrom(...'0af-zZ'), maxLength: 60 }),
    'x-request-timeout-ms': fc.constantFrom('0', '-1', '1e9', 'x', '99999999999', '', '1.5', '100'),
    authorization: fc.constantFrom(
      'Bearer',
      'Bearer  ',
      'Bearer a b',
      'bearer x.y.z',
      `Bearer ${'k'.repeat(9_000)}`,
      'Basic eDp5',
      ''
    ),
    'content-encoding': fc.constantFrom('gzip', 'identity'),
    'if-match': fc.constantFrom('*', '"x"')
  },
  { requiredKeys: [] }
)

const toHeaderValue = (text: string) => text.replace(/[^\x20-\x7e]/g, '').trim()

t.test(`${CASES} malformed requests are answered with 4xx problems, and none reaches HighLevel`, async (t) => {
  const simulator = await startSimulator(t)
  const { origin, key, patch, logged } = await startGateway(t, { simulator })
  const seen = new Map<number, number>()

  const malformed = fc.record({
    schemaKey: fc.oneof(segment, fc.constant(SEED.schemaKey)),
    id: fc.oneof(segment, fc.constant(SEED.recordId)),
    query: fc.oneof(query, fc.constant(`locationId=${SEED.locationId}`)),
    headers,
    body
  })
  const property = fc.asyncProperty(malformed, async ({ schemaKey, id, query, headers, body }) => {
    const sentHeaders = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, toHeaderValue(value)]))
    const response = await fetch(`${origin}/records/${schemaKey}/${id}?${query}`, {
      method: 'PATCH',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...sentHeaders },
      body: body as string | Buffer<ArrayBuffer>,
      redirect: 'manual'
    })
    const problem = (await response.json()) as { code?: unknown; status?: unknown }
    seen.set(response.status, (seen.get(response.status) ?? 0) + 1)
    return (
      response.status >= 400 &&
      response.status < 500 &&
      problem.status === response.status &&
      typeof problem.code === 'string'
    )
  })
  await fc.assert(property, { numRuns: CASES, seed: 20_261_123 })

  t.strictSame(simulator.received(), [])
  t.ok(
    [400, 401, 415].every((status) => (seen.get(status) ?? 0) > 10),
    `statuses seen: ${[...seen].map((pair) => pair.join(' × ')).join(', ')}`
  )
  t.notOk(
    logged().some(({ level }) => Number(level) >= 50),
    'no error was logged'
  )
  t.equal((await patch({ properties: { customer_number: 1 } })).status, 200, 'the gateway still works')
})

t.test('without translation, any JSON value is sent to HighLevel unchanged', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator, env: PASS_THROUGH })

  const value = fc.jsonValue({ maxDepth: 3 }).filter((json) => !JSON.stringify(json).includes('__proto__'))
  const property = fc.asyncProperty(
    fc.dictionary(
      fc.string({ minLength: 1, maxLength: 20 }).filter((name) => name !== '__proto__' && name !== 'constructor'),
      value,
      { minKeys: 1, maxKeys: 5 }
    ),
    async (properties) => {
      simulator.clearReceived()
      simulator.failNext({ kind: 'status', status: 200, body: { record: { id: SEED.recordId } }, method: 'PUT' })
      await patch({ properties })
      const sent = JSON.parse(simulator.received()[0]?.body ?? '{}') as unknown
      return JSON.stringify(sent) === JSON.stringify(JSON.parse(JSON.stringify({ properties })))
    }
  )
  await fc.assert(property, { numRuns: 200, seed: 20_261_123 })
  t.pass('200 patches')
})
