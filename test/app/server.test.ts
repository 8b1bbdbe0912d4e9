import { once } from 'node:events'
import { createConnection, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type GatewayProcess, openCluster } from '../support/gateway-process.ts'
import { environment, startSimulator } from '../support/harness.ts'
import { NO_POSTGRES, postgresDatabase } from '../support/postgres.ts'
import { startProcess } from '../support/process.ts'
import { startProxy } from '../support/proxy.ts'

const SERVER = join(import.meta.dirname, '../../src/server.ts')

/** A gateway process that is connected to the seed location. */
async function start(t: Test, env: Record<string, string> = {}) {
  const simulator = await startSimulator(t)
  const cluster = await openCluster(t, 'sqlite', simulator, env)
  if (cluster === undefined) throw new Error('SQLite is always available')
  const gateway = await cluster.start()
  await gateway.install(simulator.connect().code)
  return { simulator, cluster, gateway }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`the process exits with 0 on ${signal}, after calls in flight were answered`, async (t) => {
    const { simulator, gateway } = await start(t)
    simulator.failNext({ kind: 'slow', delayMs: 300, method: 'PUT' })
    const reply = gateway.patch()
    while (simulator.received({ method: 'PUT' }).length === 0) await new Promise(setImmediate)

    gateway.kill(signal)

    const answer = await reply
    t.equal(answer.status, 200)
    t.equal(answer.headers.get('connection'), 'close')
    t.equal(await gateway.ended, 0)
    t.match(gateway.output.stdout, /"msg":"shutdown complete"/)
  })
}

t.test('a duplicate signal is ignored, and a later or different one exits with 1 at once', async (t) => {
  const secondSignals = {
    'a different signal': (gateway: GatewayProcess) => gateway.kill('SIGINT'),
    // Later than a duplicate could arrive.
    'the same signal later': (gateway: GatewayProcess) => sleep(1_200).then(() => gateway.kill('SIGTERM'))
  }
  for (const [second, send] of Object.entries(secondSignals)) {
    const { simulator, gateway } = await start(t)
    simulator.failNext({ kind: 'slow', delayMs: 9_000, method: 'PUT' })
    void gateway.patch().catch(() => undefined)
    while (simulator.received({ method: 'PUT' }).length === 0) await new Promise(setImmediate)

    gateway.kill('SIGTERM')
    await gateway.waitForOutput(/"msg":"shutting down"/)
    gateway.kill('SIGTERM')
    await send(gateway)

    t.equal(await gateway.ended, 1, second)
    t.notMatch(gateway.output.stdout, /"msg":"shutdown complete"/)
  }
})

t.test('grants and keys survive a kill', async (t) => {
  const { cluster, gateway: first } = await start(t)
  first.kill('SIGKILL')
  await first.ended

  const second = await cluster.start()

  t.equal((await second.patch()).status, 200)
})

t.test('an invalid configuration is reported in full, opens nothing and exits with 1', async (t) => {
  const process = startProcess(t, SERVER, { PORT: 'many', LOG_LEVEL: 'loud' })

  t.equal(await process.ended, 1)
  t.match(process.output.stderr, /VAULT_KEYS is required; PORT must be an integer.*; LOG_LEVEL must be one of/)
  t.notMatch(process.output.stderr, /many|loud|\.ts:/)
})

t.test('a port in use is named, with what to do', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  t.teardown(() => holder.close())
  const address = holder.address()
  const port = typeof address === 'object' ? String(address?.port) : ''

  const process = startProcess(t, SERVER, environment(t, undefined, { PORT: port }))

  t.equal(await process.ended, 1)
  t.match(process.output.stderr, new RegExp(`Port ${port} on 127.0.0.1 is in use.*set PORT`))
})

t.test('a vault sealed with a key that is missing does not open, and the key is named', async (t) => {
  const { cluster, gateway: before } = await start(t)
  before.kill('SIGTERM')
  await before.ended

  const after = startProcess(t, SERVER, {
    ...cluster.variables,
    VAULT_KEYS: `k2:${Buffer.alloc(32, 2).toString('base64')}`
  })

  t.equal(await after.ended, 1)
  t.match(after.output.stderr, /VAULT_KEYS lacks k1/)
})

t.test('only the admin listener serves metrics, and they name no location', async (t) => {
  const { gateway } = await start(t)
  const { origin, adminOrigin } = gateway
  await gateway.patch()

  const metrics = await (await fetch(`${adminOrigin}/metrics`)).text()

  t.match(metrics, /gateway_calls_total\{route="\/records\/:schemaKey\/:id",status="200",code="none"\} 1/)
  t.match(metrics, /# TYPE gateway_upstream_seconds histogram\n/)
  t.match(metrics, /gateway_upstream_seconds_bucket\{le="30"\} 1\n/)
  t.match(metrics, /gateway_upstream_seconds_bucket\{le="\+Inf"\} 1\n/)
  t.match(metrics, /gateway_upstream_seconds_sum 0\.\d+\n/)
  t.match(metrics, /gateway_upstream_seconds_count 1\n/)
  t.notMatch(metrics, /ve9EPM428h8vShlRW1KT/)
  t.equal((await fetch(`${origin}/metrics`)).status, 404)
  t.equal((await fetch(`${adminOrigin}/readyz`)).status, 200)
})

t.test('half-sent requests do not keep the process from a clean shutdown', async (t) => {
  const { gateway } = await start(t, { SHUTDOWN_GRACE_MS: '3000' })
  const { hostname, port } = new URL(gateway.origin)
  const open = async (bytes: string) => {
    const socket = createConnection({ port: Number(port), host: hostname, allowHalfOpen: true })
    t.teardown(() => socket.destroy())
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    socket.write(bytes)
  }
  await open('PATCH /records/a/b HTTP/1.1\r\nHost:')
  await open('PATCH /records/a/b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{')
  await open('GARBAGE\r\n\r\n')
  await gateway.waitForOutput(/"code":"unauthenticated"/)

  gateway.kill('SIGTERM')

  t.equal(await gateway.ended, 0)
  t.match(gateway.output.stdout, /"msg":"shutdown complete"/)
})

t.test('a database that cannot be opened is named, without its password, and the process exits at once', async (t) => {
  const url = 'postgres://gateway:hidden-password@127.0.0.1:1/records'
  const cases = [
    [url, /The database at 127\.0\.0\.1:1\/records \(DATABASE_URL\) cannot be opened: connect ECONNREFUSED/],
    ['sqlite:/proc', /The database sqlite:\/proc \(DATABASE_URL\) cannot be opened: unable to open/],
    ['postgres://127.0.0.1:99999/records', /DATABASE_URL must be sqlite:<path> or postgres:/]
  ] as const
  for (const [DATABASE_URL, message] of cases) {
    const process = startProcess(t, SERVER, environment(t, undefined, { DATABASE_URL }))

    t.equal(await process.ended, 1)
    t.match(process.output.stderr, message)
    t.notMatch(process.output.stderr, /hidden-password|\.ts:/)
  }
})

t.test('a database that is lost between migration and start is named, and the process exits with 1', async (t) => {
  const direct = await postgresDatabase(t)
  if (direct === undefined) return void t.pass('not run', { skip: NO_POSTGRES })
  const { hostname, port } = new URL(direct)
  const proxy = await startProxy(t, { host: hostname, port: Number(port || '5432'), accepts: 1 })
  const DATABASE_URL = Object.assign(new URL(direct), { host: `127.0.0.1:${proxy.port}` }).href

  const process = startProcess(t, SERVER, environment(t, undefined, { DATABASE_URL }))

  t.equal(await process.ended, 1)
  t.match(process.output.stderr, /The database at 127\.0\.0\.1:\d+\/\S+ \(DATABASE_URL\) cannot be opened: /)
  t.notMatch(process.output.stdout, /"msg":"ready"/)
})

t.test('a process whose log is no longer read shuts down all the same', async (t) => {
  for (const reader of ['has gone', 'has stalled'] as const) {
    const simulator = await startSimulator(t)
    const process = startProcess(t, SERVER, environment(t, simulator, { LOG_LEVEL: 'debug' }))
    const [, origin = ''] = await process.waitForOutput(/"origin":"([^"]+)"/)
    process.child.stdout?.[reader === 'has gone' ? 'destroy' : 'pause']()
    // More than a pipe holds.
    for (let n = 0; n < (reader === 'has gone' ? 1 : 400); n += 1)
      await fetch(`${origin}/nowhere`, { headers: { 'x-request-id': 'x'.repeat(128) } }).then((reply) => reply.text())

    process.kill('SIGTERM')

    const [code] = (await once(process.child, 'exit')) as [number | null]
    t.equal(code, 0, reader)
  }
})
