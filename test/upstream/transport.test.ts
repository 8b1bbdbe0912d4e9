import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { createTrace } from '../../src/upstream/call.ts'
import { createTransport, openSockets } from '../../src/upstream/transport.ts'
import { until } from '../support/harness.ts'

/** A server that answers after 100 ms, on a thread of its own: it runs while this one stands still. */
const SERVER = `
  const { createServer } = require('node:http')
  const { parentPort } = require('node:worker_threads')
  const server = createServer((_, response) => setTimeout(() => response.end('{}'), 100))
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

t.test('an answer that arrived while the process was paused is read, although its time is over', async (t) => {
  const worker = new Worker(SERVER, { eval: true })
  t.teardown(() => worker.terminate())
  const [port] = (await once(worker, 'message')) as [number]
  const origin = `http://127.0.0.1:${port}`
  const sockets = openSockets(origin)
  t.teardown(() => sockets.destroy())
  const send = createTransport(sockets, { origin, apiVersion: '2021-07-28', userAgent: 'test' }, 300)
  const trace = createTrace()

  const answer = send({ method: 'GET', path: '/', deadlineAt: performance.now() + 60_000, trace })
  await until(() => trace.attempts === 1)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600)

  t.match(await answer, { status: 200 })
})
