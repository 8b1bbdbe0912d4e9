import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { limitConnections, MAX_REJECTING, REJECTION_MS } from '../../../src/http/connections/connection-limit.ts'
import { openLog } from '../../../src/observability/log.ts'
import { createClock } from '../../support/clock.ts'
import { until } from '../../support/harness.ts'

const REQUEST = 'POST /records HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}'

/** A server limited to `max` connections. */
async function start(t: Test, max: number) {
  const served: string[] = []
  const lines: string[] = []
  const server = createServer((request, response) => {
    served.push(request.url ?? '')
    response.end('served')
  })
  const clock = createClock()
  limitConnections(server, max, openLog('info', { write: (line: string) => void lines.push(line) }).log, clock)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const open = async (): Promise<Socket> => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    return socket
  }
  return { served, lines, clock, open }
}

async function ask(socket: Socket): Promise<string> {
  socket.write(REQUEST)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  return answer.toString()
}

t.test(
  'a connection beyond the limit gets 503 for its first request, which no handler sees, and is closed',
  async (t) => {
    const { served, open } = await start(t, 1)
    await open()

    const beyond = await open()
    beyond.write(REQUEST)
    const answer = await text(beyond)

    const [head = '', body = ''] = answer.split('\r\n\r\n')
    t.match(head, /^HTTP\/1\.1 503 Service Unavailable\r\n/)
    t.match(head, /\r\nretry-after: 1(\r\n|$)/)
    t.match(head, /\r\nconnection: close(\r\n|$)/)
    t.match(head, /\r\ncontent-type: application\/problem\+json\r\n/)
    t.match(JSON.parse(body), { status: 503, code: 'overloaded', applied: 'no', retryable: true })
    t.strictSame(served, [])
  }
)

t.test('connections within the limit are served, and each closed one makes room for another', async (t) => {
  const { open } = await start(t, 2)
  const [first, second] = [await open(), await open()]
  t.match(await ask(first), /200 OK[\s\S]*served$/)
  t.match(await ask(await open()), / 503 /)

  second.destroy()

  await until(async () => / 200 OK/.test(await ask(await open())))
  t.match(await ask(first), / 200 OK/, 'the other connection still works')
})

t.test('a connection beyond the limit that sends nothing is closed', async (t) => {
  const { lines, clock, open } = await start(t, 0)
  const silent = await open()
  await until(() => lines.length === 1)

  clock.move(REJECTION_MS)

  t.equal(await text(silent), '')
})

t.test('of many connections beyond the limit, most are closed at once, with one log line', async (t) => {
  const { lines, clock, open } = await start(t, 0)
  const sockets = await Promise.all(Array.from({ length: 60 }, open))
  let closed = 0
  for (const socket of sockets) socket.once('close', () => (closed += 1)).resume()

  await until(() => closed === 60 - MAX_REJECTING)
  clock.move(REJECTION_MS)
  await until(() => closed === 60)

  t.equal(lines.length, 1)
  t.match(JSON.parse(lines[0] ?? ''), { level: 40, max: 0, msg: /connections are refused/ })
})
