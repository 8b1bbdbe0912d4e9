import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { RECORD, sendRaw, startGateway, startSimulator } from '../../support/harness.ts'

const BODY = '{"properties":{"customer_number":12}}'
const SIZE = BODY.length.toString(16)

async function open(t: Test) {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator })
  const head = (...fields: string[]) =>
    [
      `PATCH ${RECORD} HTTP/1.1`,
      'Host: x',
      `Authorization: Bearer ${gateway.key}`,
      'Content-Type: application/json',
      ...fields,
      ''
    ]
      .map((line) => `${line}\r\n`)
      .join('')
  const calls = () => gateway.logged().filter(({ msg, method }) => msg === 'call' && method === 'PATCH')
  return { ...gateway, simulator, head, calls, whole: `${head(`Content-Length: ${BODY.length}`)}${BODY}` }
}

/** Everything received until the server closes. */
function exchange(origin: string, send: (socket: Socket) => void): Promise<string> {
  const { hostname, port } = new URL(origin)
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect({ port: Number(port), host: hostname, noDelay: true }, () => send(socket))
    socket.on('data', (chunk) => (text += chunk))
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
  })
}

/** The status of each answer on a connection. */
const statuses = (answers: string) => (answers.match(/HTTP\/1\.1 \d{3}/g) ?? []).map((line) => Number(line.slice(9)))

t.test('complete calls are answered before invalid input after them closes the connection', async (t) => {
  const { origin, simulator, head, whole, calls } = await open(t)
  const broken = `${head('Transfer-Encoding: chunked')}xyz\r\n`

  simulator.failNext({ kind: 'slow', delayMs: 100, method: 'PUT' })
  t.strictSame(statuses(await sendRaw(origin, `${whole}${whole}GARBAGE\r\n\r\n`)), [200, 200])
  simulator.failNext({ kind: 'slow', delayMs: 100, method: 'PUT' })
  t.strictSame(statuses(await sendRaw(origin, whole + broken)), [200, 400])
  t.equal(calls().filter(({ hungUp }) => hungUp).length, 0)
})

t.test('a body that ends early is reported as such, with Content-Length and with chunks', async (t) => {
  const { origin, head, calls } = await open(t)
  const beginnings = {
    'Transfer-Encoding: chunked': `${SIZE}\r\n${BODY.slice(0, 9)}`,
    [`Content-Length: ${BODY.length}`]: BODY.slice(0, 9)
  }

  for (const [field, part] of Object.entries(beginnings)) {
    const answer = await exchange(origin, (socket) => socket.end(head(field) + part))
    t.match(answer, /^HTTP\/1\.1 400 [\s\S]*"detail":"The body ended early"/, field)
    t.match(calls().at(-1), { status: 400, reason: /^HPE_INVALID_EOF_STATE/ }, field)
  }
})

t.test('an error in a body that is never read does not answer its call twice', async (t) => {
  const { origin } = await open(t)
  const get = `GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`

  t.strictSame(statuses(await sendRaw(origin, `${get}xyz\r\n`)), [200])
  const late = await exchange(origin, (socket) => {
    socket.write(get)
    socket.once('data', () => socket.write('xyz\r\n'))
  })
  t.strictSame(statuses(late), [200])
})

t.test('a client that keeps sending after invalid HTTP still receives the answer', async (t) => {
  const { origin } = await open(t)
  const answer = await exchange(origin, (socket) => {
    socket.write('GARBAGE\r\n\r\n')
    for (let n = 0; n < 50; n += 1) setImmediate(() => socket.write('more\r\n'.repeat(100)))
  })
  t.strictSame(statuses(answer), [400])
})
