import t from 'tap'
import { startGateway, startSimulator } from '../support/harness.ts'

/** A raw body: only an escape can carry a lone surrogate through UTF-8. */
const bodyOf = (properties: string) => `{"properties":${properties}}`

const rejected: [properties: string, pointer: string][] = [
  ['{"ticket_name":"a\\u0000b"}', '/properties/ticket_name'],
  ['{"ticket_name":"a\\ud83d"}', '/properties/ticket_name'],
  ['{"ticket_name":"\\ude00\\ud83d"}', '/properties/ticket_name'],
  ['{"section_of_app":{"add":["contacts","\\udc00"]}}', '/properties/section_of_app/add/1'],
  ['{"my_files":[{"url":"https://a.b/c","name":"\\u0000"}]}', '/properties/my_files/0/name'],
  ['{"my_textbox_list":{"option_a":"\\ud800"}}', '/properties/my_textbox_list/option_a'],
  ['{"my_textbox_list":{"\\ud800":"x"}}', '/properties/my_textbox_list/\ufffd'],
  ['{"no_such_field":{"x":[{"\\u0000":1}]}}', '/properties/no_such_field/x/0/\0']
]

for (const SCHEMA_VALIDATION of ['enforce', 'off'])
  t.test(
    `NUL and lone surrogates are rejected with a pointer to their place: SCHEMA_VALIDATION=${SCHEMA_VALIDATION}`,
    async (t) => {
      const simulator = await startSimulator(t)
      const { patch } = await startGateway(t, { simulator, env: { SCHEMA_VALIDATION } })

      for (const [properties, pointer] of rejected) {
        const reply = await patch(bodyOf(properties))

        t.match(reply.json, { status: 400, code: 'invalid-request', applied: 'no' }, properties)
        t.strictSame(
          (reply.json['errors'] as { pointer: string; code: string }[]).map(({ pointer, code }) => [pointer, code]),
          [[pointer, 'bad-format']]
        )
      }
      t.strictSame(simulator.received(), [])
    }
  )

t.test('surrogate pairs and all other control characters are accepted', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })

  const reply = await patch(bodyOf('{"ticket_name":"\\ud83d\\ude00 \\u0001\\t\\n\\u007f \\uffff"}'))

  t.equal(reply.status, 200)
  const [write] = simulator.received({ method: 'PUT' })
  t.strictSame(JSON.parse(write?.body ?? '').properties, { ticket_name: '😀 \u0001\t\n\u007f \uffff' })
})

t.test('the length of a key is counted in characters, as JSON Schema does', async (t) => {
  const simulator = await startSimulator(t)
  const { patch } = await startGateway(t, { simulator })
  const codes = async (key: string) => {
    const { json } = await patch({ properties: { [key]: 1 } })
    return (json['errors'] as { code: string }[]).map(({ code }) => code)
  }

  t.strictSame(await codes('😀'.repeat(128)), ['unknown-field'])
  t.strictSame(await codes('😀'.repeat(129)), ['bad-format'])
  t.strictSame(await codes('x'.repeat(129)), ['bad-format'])
})
