import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { RECORD, startGateway, startSimulator } from '../../support/harness.ts'

const BODY = '{"properties":{"customer_number":12}}'
const SIZE = BODY.length.toString(16)
const CHUNK = `${SIZE}\r\n${BODY}\r\n`
const LENGTH = `Content-Length: ${BODY.length}\r\n\r\n${BODY}`

/** Errors in chunked framing. Each occurs while the body is being read. */
const badChunks: Record<string, string> = {
  'a size that is not a number': `zz\r\n${BODY}\r\n0\r\n\r\n`,
  'no size': `\r\n${BODY}\r\n0\r\n\r\n`,
  'a negative size': `-1\r\n${BODY}\r\n0\r\n\r\n`,
  'a size with a prefix': `0x${SIZE}\r\n${BODY}\r\n0\r\n\r\n`,
  'a size with a sign': `+${SIZE}\r\n${BODY}\r\n0\r\n\r\n`,
  'a size beyond 64 bits': `fffffffffffffffff\r\n${BODY}\r\n0\r\n\r\n`,
  'a size that ends in LF': `${SIZE}\n${BODY}\r\n0\r\n\r\n`,
  'a size that ends in CR': `${SIZE}\r${BODY}\r\n0\r\n\r\n`,
  'a space after the size': `${SIZE} \r\n${BODY}\r\n0\r\n\r\n`,
  'no line end after the data': `${SIZE}\r\n${BODY}0\r\n\r\n`,
  'data longer than the size': `24\r\n${BODY}\r\n0\r\n\r\n`,
  'data that end in LF': `${SIZE}\r\n${BODY}\n0\r\n\r\n`,
  'an extension with a control character': `${SIZE};\x01\r\n${BODY}\r\n0\r\n\r\n`,
  'an endless extension': `${SIZE};${'a'.repeat(20_000)}\r\n${BODY}\r\n0\r\n\r\n`,
  'an unclosed quote': `${SIZE};a="b\r\n${BODY}\r\n0\r\n\r\n`,
  'an extension that ends in LF': `${SIZE};a=b\n${BODY}\r\n0\r\n\r\n`,
  'a malformed trailer': `${CHUNK}0\r\nbad trailer\r\n\r\n`,
  'a trailer with a space before its colon': `${CHUNK}0\r\nx : y\r\n\r\n`,
  'a trailer with a control character': `${CHUNK}0\r\nx: \x01\r\n\r\n`,
  'an endless trailer': `${CHUNK}0\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`,
  'a last chunk that ends in LF': `${CHUNK}0\n\n`,
  'no last chunk': CHUNK
}

/** Everything received until the server closes or, if given, until `until` matches. */
function ask(origin: string, text: string, { half = false, until }: { half?: boolean; until?: RegExp } = {}) {
  const { hostname, port } = new URL(origin)
  return new Promise<string>((resolve, reject) => {
    let got = ''
    const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true }, () =>
      half ? socket.end(text) : socket.write(text)
    )
    const finish = () => {
      socket.destroy()
      resolve(got)
    }
    socket.on('data', (chunk) => {
      got += chunk
      if (until?.test(got)) finish()
    })
    socket.on('end', finish)
    socket.on('error', reject)
  })
}

async function open(t: Test) {
  const simulator = await startSimulator(t)
  const { origin, key, logged } = await startGateway(t, { simulator })
  const head = (extra = '') =>
    `PATCH ${RECORD} HTTP/1.1\r\nHost: x\r\n${extra}Authorization: Bearer ${key}\r\nContent-Type: application/json\r\n`
  const calls = () => logged().filter(({ msg, method }) => msg === 'call' && method !== 'GET')
  return { simulator, origin, key, head, calls }
}

const answers = (text: string) => text.match(/^HTTP\/1\.1 \d{3}/gm)?.map((line) => Number(line.slice(9))) ?? []

t.test('an error in chunked framing gets 400, and the connection is closed', async (t) => {
  const { simulator, origin, head, calls } = await open(t)
  for (const [name, chunks] of Object.entries(badChunks)) {
    const reply = await ask(origin, `${head()}Transfer-Encoding: chunked\r\n\r\n${chunks}`, {
      half: name === 'no last chunk'
    })
    t.strictSame(answers(reply), [400], name)
    t.match(reply, /\r\nconnection: close\r\n[\s\S]*"code":"invalid-request"/i, name)
    t.match(calls().at(-1), { status: 400, code: 'invalid-request', reason: /^HPE_/, hungUp: undefined }, name)
  }
  t.strictSame(
    calls().filter(({ reason }) => reason === undefined),
    []
  )
  t.equal(calls().length, Object.keys(badChunks).length)
  t.strictSame(simulator.received({ method: 'PUT' }), [])
})

t.test('an error in a late chunk gets the same answer', async (t) => {
  const { origin, head } = await open(t)
  const { hostname, port } = new URL(origin)
  let got = ''
  const socket = connect(Number(port), hostname)
  socket.on('data', (chunk) => (got += chunk))
  socket.write(`${head()}Transfer-Encoding: chunked\r\n\r\n${SIZE}\r\n${BODY.slice(0, 5)}`)
  await new Promise((resolve) => setTimeout(resolve, 100))
  socket.write(`${BODY.slice(5)}!`)
  await new Promise((resolve) => socket.once('close', resolve))
  t.strictSame(answers(got), [400])
})

t.test('input after a framing error does not add listeners to a call that never reads its body', async (t) => {
  const { simulator, origin, key } = await open(t)
  const warnings: Error[] = []
  const note = (warning: Error) => warnings.push(warning)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  simulator.failNext({ kind: 'slow', delayMs: 500 })
  const { hostname, port } = new URL(origin)
  const socket = connect(Number(port), hostname)
  const writing = setInterval(() => socket.write('x'), 10)
  t.teardown(() => clearInterval(writing))

  socket.write(
    `GET ${RECORD} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`
  )
  await new Promise((resolve) => socket.once('data', resolve))

  clearInterval(writing)
  socket.destroy()
  t.strictSame(warnings, [])
})

t.test('a call that was already rejected gets no second answer for its body', async (t) => {
  const { origin, head, key } = await open(t)
  const reply = await ask(origin, `${head().replace(key, 'wrong')}Transfer-Encoding: chunked\r\n\r\nzz\r\n`)
  t.strictSame(answers(reply), [401])
})

t.test('a call is answered even if invalid HTTP follows it', async (t) => {
  const { origin, head } = await open(t)
  const reply = await ask(origin, `${head()}${LENGTH}GARBAGE\r\n\r\n`)
  t.strictSame(answers(reply), [200])
  t.match(reply, /\r\nconnection: close\r\n/i)
})

t.test('headers that a proxy could interpret differently are rejected', async (t) => {
  const { simulator, origin, head } = await open(t)
  const chunked = `${CHUNK}0\r\n\r\n`
  const heads: Record<string, string> = {
    'two hosts': head('Host: y\r\n') + LENGTH,
    'no host': head().replace('Host: x\r\n', '') + LENGTH,
    'a host with a space': head().replace('Host: x', 'Host: a b') + LENGTH,
    'a host with a user': head().replace('Host: x', 'Host: u@b') + LENGTH,
    'a host with a path': head().replace('Host: x', 'Host: a/b') + LENGTH,
    'a host with an invalid port': head().replace('Host: x', 'Host: a:b') + LENGTH,
    'two authorizations': head('Authorization: Bearer y\r\n') + LENGTH,
    'two authorizations of which the second is empty': head('Authorization:\r\n') + LENGTH,
    'two content types': head('content-type: text/plain\r\n') + LENGTH,
    'gzip and chunked': `${head()}Transfer-Encoding: gzip, chunked\r\n\r\n${chunked}`,
    'chunked twice': `${head()}Transfer-Encoding: chunked, chunked\r\n\r\n${chunked}`,
    'two transfer encodings': `${head()}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
    'a transfer encoding that is not chunked': `${head()}Transfer-Encoding: identity\r\n\r\n${chunked}`,
    'a length and a transfer encoding': `${head()}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${chunked}`
  }
  for (const [name, text] of Object.entries(heads)) {
    const reply = await ask(origin, text)
    t.strictSame(answers(reply), [400], name)
    t.match(reply, /\r\nconnection: close\r\n[\s\S]*"code":"invalid-request"/i, name)
  }
  t.strictSame(simulator.received({ method: 'PUT' }), [])

  for (const host of ['x', 'a.example:8080', '[::1]:80', '127.0.0.1', ''])
    t.match(
      await ask(origin, `${head('Connection: close\r\n').replace('Host: x', `Host: ${host}`)}${LENGTH}`),
      / 200 OK/,
      host
    )
  t.match(await ask(origin, `GET /livez HTTP/1.0\r\n\r\n`), / 200 OK/)
})

t.test('100 Continue is sent only if the body is needed; otherwise the rejection is sent instead', async (t) => {
  const { origin, head, key } = await open(t)
  const expect = head('Expect: 100-continue\r\n')
  const refused: [status: number, text: string][] = [
    [401, `${expect.replace(key, 'wrong')}Content-Length: 9\r\n\r\n`],
    [405, `${expect.replace('PATCH', 'POST')}Content-Length: 9\r\n\r\n`],
    [413, `${expect}Content-Length: 99999999\r\n\r\n`],
    [415, `${expect.replace('application/json', 'text/plain')}Content-Length: 9\r\n\r\n`],
    [415, `${expect}Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n`]
  ]
  for (const [status, text] of refused) {
    const reply = await ask(origin, text)
    t.strictSame(answers(reply), [status])
    t.match(reply, /\r\nconnection: close\r\n/i)
  }

  const { hostname, port } = new URL(origin)
  let got = ''
  const socket = connect(Number(port), hostname)
  const has = (pattern: RegExp) =>
    new Promise<void>((resolve) => {
      const look = () => pattern.test(got) && resolve()
      socket.on('data', look)
      look()
    })
  socket.on('data', (chunk) => (got += chunk))
  for (let n = 1; n <= 2; n += 1) {
    got = ''
    socket.write(`${expect}Content-Length: ${BODY.length}\r\n\r\n`)
    await has(/100 Continue/)
    t.strictSame(answers(got), [100])
    socket.write(BODY)
    await has(/ 200 OK/)
    t.strictSame(answers(got), [100, 200], 'the connection is kept')
  }
  socket.destroy()
})
