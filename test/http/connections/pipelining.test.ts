import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { RECORD, startGateway, startSimulator, until } from '../../support/harness.ts'

const answers = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))

/** Sends the text at once. Resolves with everything received until the server closes. */
function ask(origin: string, text: string): Promise<string> {
  const { hostname, port } = new URL(origin)
  return new Promise((resolve, reject) => {
    let got = ''
    const socket = connect(Number(port), hostname, () => socket.write(text))
    socket.on('data', (chunk) => (got += chunk))
    socket.on('end', () => resolve(got))
    socket.on('error', reject)
  })
}

async function open(t: Test) {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator })
  let value = 0
  const head = (more = '') =>
    `PATCH ${RECORD} HTTP/1.1\r\nHost: x\r\n${more}Authorization: Bearer ${gateway.key}\r\nContent-Type: application/json\r\n`
  const patch = (more?: string) => {
    value += 1
    const body = `{"properties":{"customer_number":${value}}}`
    return `${head(more)}Content-Length: ${body.length}\r\n\r\n${body}`
  }
  return { simulator, gateway, head, patch }
}

t.test('all started calls of a connection are answered, whatever follows them', async (t) => {
  const { simulator, gateway, head, patch } = await open(t)
  const three = () => patch() + patch() + patch()
  const last: [name: string, text: string, statuses: number[]][] = [
    ['invalid HTTP', 'GARBAGE\r\n\r\n', [200, 200, 200]],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', [200, 200, 200]],
    ['invalid chunks', `${head()}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, [200, 200, 200, 400]],
    [
      'invalid chunks of a call that is already rejected',
      `${head().replace(gateway.key, 'wrong')}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
      [200, 200, 200, 401]
    ],
    ['a call that closes the connection', patch('Connection: close\r\n'), [200, 200, 200, 200]]
  ]
  for (const [name, text, statuses] of last) {
    const before = simulator.stored().length
    t.strictSame(answers(await ask(gateway.origin, three() + text)), statuses, name)
    t.equal(simulator.stored().length - before, statuses.filter((status) => status === 200).length, name)
  }
})

t.test('CONNECT is rejected with a problem', async (t) => {
  const { gateway } = await open(t)
  const reply = await ask(gateway.origin, 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n')
  t.match(reply, /^HTTP\/1\.1 400 [\s\S]*\r\nconnection: close\r\n[\s\S]*"code":"invalid-request"/i)
})

t.test('requests after a call that closes the connection are not executed', async (t) => {
  const { simulator, gateway, head, patch } = await open(t)
  const ending: [name: string, text: string, status: number, stored: number][] = [
    ['two hosts', patch('Host: y\r\n'), 400, 0],
    ['gzip and chunked', `${head()}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 400, 0],
    ['Connection: close', patch('Connection: close\r\n'), 200, 1],
    ['HTTP/1.0', patch().replace('HTTP/1.1', 'HTTP/1.0'), 200, 1],
    ['a rejected Expect', patch('Expect: 100-continue\r\n').replace(gateway.key, 'wrong'), 401, 0]
  ]
  for (const [name, text, status, stored] of ending) {
    const before = simulator.stored().length
    t.strictSame(answers(await ask(gateway.origin, text + patch() + patch())), [status], name)
    await sleep(50)
    t.equal(simulator.stored().length - before, stored, name)
  }
})

t.test('shutdown leaves no call of a connection unanswered', async (t) => {
  const { simulator, gateway, patch } = await open(t)
  simulator.failNext({ kind: 'slow', delayMs: 300, method: 'PUT' })
  const reply = ask(gateway.origin, patch() + patch() + patch())
  await until(() => simulator.received({ method: 'PUT' }).length > 0)
  await gateway.close()
  t.strictSame(answers(await reply), [200, 200, 200])
  t.equal((await reply).match(/\r\nconnection: close\r\n/gi)?.length, 1)
})
