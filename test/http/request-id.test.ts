import t from 'tap'
import { requestId, traceparent } from '../../src/http/request-id.ts'

const [TRACE, SPAN] = ['a'.repeat(32), 'b'.repeat(16)]
const given = (value: string) => traceparent({ headers: { traceparent: value } })

t.test('a valid request id of 1 to 128 characters is kept; any other is replaced', async (t) => {
  for (const id of ['1', 'a:b', 'order-4711-a', 'x'.repeat(128)])
    t.equal(requestId({ headers: { 'x-request-id': id } }), id)
  for (const id of ['', 'with blanks', 'x'.repeat(129), 'ä'])
    t.match(requestId({ headers: { 'x-request-id': id } }), /^[0-9a-f-]{36}$/, id)
})

t.test('a traceparent of version 00 is kept', async (t) => {
  for (const flags of ['00', '01', 'ff']) t.equal(given(`00-${TRACE}-${SPAN}-${flags}`), `00-${TRACE}-${SPAN}-${flags}`)
})

t.test('a traceparent of a later version is converted to version 00', async (t) => {
  for (const version of ['01', 'cc', 'fe']) {
    t.equal(given(`${version}-${TRACE}-${SPAN}-01`), `00-${TRACE}-${SPAN}-01`)
    t.equal(given(`${version}-${TRACE}-${SPAN}-01-what-the-future-brings`), `00-${TRACE}-${SPAN}-01`)
    t.equal(given(`${version}-${TRACE}-${SPAN}-fe`), `00-${TRACE}-${SPAN}-00`)
  }
})

t.test('an invalid traceparent is replaced', async (t) => {
  for (const value of [
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `01-${TRACE}-${SPAN}-01.more`,
    `01-${'0'.repeat(32)}-${SPAN}-01`,
    `01-${TRACE}-${'0'.repeat(16)}-01`,
    `1-${TRACE}-${SPAN}-01`,
    `01-${TRACE.toUpperCase()}-${SPAN}-01`,
    ''
  ]) {
    t.match(given(value), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/, value)
    t.notMatch(given(value), TRACE, value)
  }
})
