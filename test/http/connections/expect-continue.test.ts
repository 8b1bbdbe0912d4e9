import t, { type Test } from 'tap'
import { RECORD, sendRaw, startGateway, startSimulator } from '../../support/harness.ts'

const BODY = '{"properties":{"customer_number":12}}'

async function open(t: Test) {
  const simulator = await startSimulator(t)
  const { origin, key } = await startGateway(t, { simulator })
  const head = (expect: string, path = RECORD) =>
    `PATCH ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nExpect: ${expect}\r\nContent-Length: ${BODY.length}\r\n`
  return { origin, head, simulator }
}

/** The status of each answer on a connection. */
const statuses = (answers: string) => (answers.match(/HTTP\/1\.1 \d{3}/g) ?? []).map((line) => Number(line.slice(9)))

t.test('an unknown path is rejected without 100 Continue', async (t) => {
  const { origin, head } = await open(t)
  const answer = await sendRaw(origin, `${head('100-continue', '/nowhere')}\r\n`)
  t.strictSame(statuses(answer), [404])
  t.match(answer, /\r\nconnection: close\r\n[\s\S]*"code":"route-not-found"/i)
})

t.test('any expectation but 100-continue is rejected with 417', async (t) => {
  const { origin, head, simulator } = await open(t)
  for (const expect of [
    'the-unexpected',
    '100-continue, the-unexpected',
    'the-unexpected, 100-continue',
    '100-continue=1'
  ]) {
    const answer = await sendRaw(origin, `${head(expect)}Connection: close\r\n\r\n${BODY}`)
    t.strictSame(statuses(answer), [417], expect)
    t.match(answer, /"code":"expectation-failed"/, expect)
  }
  t.strictSame(simulator.received({ method: 'PUT' }), [])
})

t.test('Expect is case-insensitive, and ignored for HTTP/1.0', async (t) => {
  const { origin, head } = await open(t)
  const close = 'Connection: close\r\n\r\n'
  t.strictSame(statuses(await sendRaw(origin, `${head('100-Continue')}${close}${BODY}`)), [100, 200])
  const old = head('the-unexpected').replace('HTTP/1.1', 'HTTP/1.0')
  t.strictSame(statuses(await sendRaw(origin, `${old}${close}${BODY}`)), [200])
})

t.test('an unknown path is a 404, whatever the body is', async (t) => {
  const { call } = await startGateway(t)
  const reply = await call('/nowhere', { method: 'PATCH', body: '{"broken', headers: { 'content-encoding': 'gzip' } })
  t.match(reply.json, { status: 404, code: 'route-not-found' })
})

t.test('an unauthenticated call gets 401, not an error about its compressed body', async (t) => {
  const { patch } = await startGateway(t)
  const reply = await patch({}, { key: 'unknown', headers: { 'content-encoding': 'gzip' } })
  t.match(reply.json, { status: 401 })
})
