import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { CONNECTION_LIFE_MS, openConnectionPool } from '../../src/highlevel/connection-pool.ts'
import { createTransport } from '../../src/highlevel/transport.ts'
import { systemClock } from '../../src/shared/clock.ts'
import { createClock } from '../support/clock.ts'
import { temporaryFolder, until } from '../support/harness.ts'
import { createCall } from './calls.ts'

/** A server that answers after 100 ms. It has its own thread, so that it runs while this one is blocked. */
const SERVER = `
  const { createServer } = require('node:http')
  const { parentPort } = require('node:worker_threads')
  const server = createServer((_, response) => setTimeout(() => response.end('{}'), 100))
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

const wire = (origin: string) => ({ origin, apiVersion: '2021-07-28', userAgent: 'test' })
const options = { timeoutMs: 3_000, clock: systemClock, onMismatchedAnswer: () => undefined }

t.test('an answer that arrived while the process was paused is read, although the time-out has passed', async (t) => {
  const worker = new Worker(SERVER, { eval: true })
  t.teardown(() => worker.terminate())
  const [port] = (await once(worker, 'message')) as [number]
  const origin = `http://127.0.0.1:${port}`
  const sockets = openConnectionPool(origin, 16, systemClock)
  t.teardown(() => sockets.destroy())
  const send = createTransport(sockets, wire(origin), { ...options, timeoutMs: 300 })
  const call = createCall('GET', 60_000)

  const answer = send(call)
  await until(() => call.isSent)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600)

  t.match(await answer, { status: 200 })
})

t.test('an untrusted certificate is refused, and nothing is sent', async (t) => {
  const folder = temporaryFolder(t)
  const [key, cert] = [`${folder}/key.pem`, `${folder}/cert.pem`]
  const subject = ['-subj', '/CN=localhost', '-days', '1', '-nodes', '-newkey', 'rsa:2048', '-x509']
  execFileSync('openssl', ['req', ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  let requests = 0
  const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, response) => {
    requests += 1
    response.end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const origin = `https://localhost:${(server.address() as AddressInfo).port}`
  const sockets = openConnectionPool(origin, 16, systemClock)
  t.teardown(() => sockets.destroy())

  const call = createTransport(sockets, wire(origin), options)(createCall('GET'))

  await t.rejects(call, { code: 'upstream-failed', detail: /No connection/, extras: { applied: 'no' } })
  t.equal(requests, 0)
})

t.test('connections are reused but replaced in time, so that a change of addresses is noticed', async (t) => {
  const clock = createClock()
  let connections = 0
  const server = createServer((_, response) => response.end('{}')).on('connection', () => {
    connections += 1
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const sockets = openConnectionPool(origin, 16, clock)
  t.teardown(() => sockets.destroy())
  const send = createTransport(sockets, wire(origin), options)
  let calls = 0

  for (let n = 0; n < 60; n += 1) {
    if ((await send(createCall('GET'))).status === 200) calls += 1
    clock.move(CONNECTION_LIFE_MS / 20)
  }

  t.equal(calls, 60)
  t.ok(connections >= 3 && connections <= 12, `${connections} connections in three lives for ${calls} calls`)
})
