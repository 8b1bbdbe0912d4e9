import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Pool } from 'undici'
import { openFileLimit, shareConnections } from '../../src/app/open-file-limit.ts'
import { CHANGE, putRecords } from '../support/calls.ts'
import { openCluster } from '../support/gateway-process.ts'
import { sendRaw, startSimulator, temporaryFolder, until } from '../support/harness.ts'

const OPEN_FILES = 256
/** Keep-alive connections of callers. Each call needs a connection to HighLevel as well. */
const KEEP_ALIVE = 12
const READY = 'GET /readyz HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n'

t.test('all connection limits together never exceed the open-file limit', async (t) => {
  for (const limit of [128, 200, 256, 1_024, 4_096, 65_536, 1_048_576]) {
    const { accepted, admin, upstream, oauth } = shareConnections(limit)

    t.ok(accepted + admin + 2 * upstream + oauth <= limit - 80, `${limit}`)
    t.ok(accepted >= 8 && upstream >= 2 && oauth >= 2, `${limit}`)
  }
  t.match(shareConnections(Number.POSITIVE_INFINITY), { accepted: Number.POSITIVE_INFINITY, upstream: 1_024 })
})

t.test('the open-file limit is read from the system, and infinite where it states none', async (t) => {
  const limits = join(temporaryFolder(t), 'limits')
  writeFileSync(limits, 'Limit  Soft Limit  Hard Limit  Units\nMax open files            256    4096    files\n')

  t.equal(openFileLimit(limits), 256)
  t.equal(openFileLimit('/nowhere'), Number.POSITIVE_INFINITY)
  writeFileSync(limits, 'Max open files            unlimited    unlimited    files\n')
  t.equal(openFileLimit(limits), Number.POSITIVE_INFINITY)
})

async function openIdle(t: Test, origin: string, count: number): Promise<Socket[]> {
  const { hostname, port } = new URL(origin)
  const sockets = Array.from({ length: count }, () => connect(Number(port), hostname).on('error', () => undefined))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  return sockets
}

t.test('idle connections beyond the open-file limit leave room for connections to HighLevel', async (t) => {
  const simulator = await startSimulator(t, { burstMax: 100_000 })
  const cluster = await openCluster(t, 'sqlite', simulator, { LOCATION_BURST_MAX: '100000' })
  if (cluster === undefined) return
  const gateway = await cluster.start({}, OPEN_FILES)
  await gateway.install(simulator.connect().code)
  const paths = putRecords(simulator, KEEP_ALIVE)
  const pool = new Pool(gateway.origin, { connections: KEEP_ALIVE })
  t.teardown(() => pool.destroy())
  const call = async (path: string) => {
    const headers = { authorization: `Bearer ${cluster.key}`, 'content-type': 'application/json' }
    const answer = await pool.request({ method: 'PATCH', path, headers, body: JSON.stringify(CHANGE) })
    await answer.body.dump()
    return answer.statusCode
  }
  /** The status line of an answer on a new connection. */
  const readiness = () =>
    sendRaw(gateway.origin, READY).then(
      (answer) => answer.slice(0, answer.indexOf('\r\n')),
      () => 'closed'
    )
  // Opens the keep-alive connections, and none to HighLevel.
  await Promise.all(paths.map(async () => (await pool.request({ method: 'GET', path: '/livez' })).body.dump()))

  const idle = await openIdle(t, gateway.origin, 2 * OPEN_FILES)

  t.strictSame(await Promise.all(paths.map(call)), Array(KEEP_ALIVE).fill(200))
  await until(async () => (await readiness()) === 'HTTP/1.1 503 Service Unavailable')
  t.equal((await fetch(`${gateway.adminOrigin}/readyz`)).status, 200, 'the admin listener has its own connections')
  t.match(
    gateway.lines().filter(({ msg }) => /connections are refused/.test(String(msg))),
    [{ level: 40 }]
  )

  for (const socket of idle) socket.destroy()
  await until(async () => (await readiness()) === 'HTTP/1.1 200 OK')
  t.strictSame(await Promise.all(paths.map(call)), Array(KEEP_ALIVE).fill(200))
})
