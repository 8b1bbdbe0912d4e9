import { copyFileSync, renameSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { SEED } from '../simulator/seed.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { createClock } from '../support/clock.ts'
import { createDatabaseUrl, DATABASE_KINDS, sql } from '../support/databases.ts'
import { type Cluster, type GatewayProcess, openCluster } from '../support/gateway-process.ts'
import { startGateway, startSimulator, until } from '../support/harness.ts'
import { NO_POSTGRES, postgresDatabase } from '../support/postgres.ts'
import { startProxy } from '../support/proxy.ts'

t.jobs = 6

const CHANGE = { properties: { customer_number: 5 } }
const HOUR = 3_600_000

const refreshes = (simulator: Simulator) =>
  simulator.tokenCalls().filter(({ grantType }) => grantType === 'refresh_token')
const failedSaves = (gateway: GatewayProcess) =>
  gateway.lines().filter(({ msg }) => String(msg).includes('could not be saved')).length

/** Makes the database refuse new tokens until the returned function is called. */
async function refuseTokens({ url }: Cluster): Promise<() => Promise<unknown>> {
  if (url.startsWith('sqlite:')) {
    await sql(
      url,
      `create trigger refuse before update on grants when new.generation > old.generation
       begin select raise(abort, 'the database accepts no tokens'); end`
    )
    return () => sql(url, 'drop trigger refuse')
  }
  await sql(
    url,
    `create function refuse() returns trigger as $$ begin raise 'the database accepts no tokens'; end $$ language plpgsql`
  )
  await sql(
    url,
    'create trigger refuse before update on grants for each row when (new.generation > old.generation) execute function refuse()'
  )
  return () => sql(url, 'drop trigger refuse on grants')
}

for (const kind of DATABASE_KINDS) {
  t.test(
    `tokens whose save fails five times are used meanwhile, and SIGTERM in between loses nothing (${kind})`,
    async (t) => {
      const simulator = await startSimulator(t)
      const cluster = await openCluster(t, kind, simulator, { SHUTDOWN_GRACE_MS: '1500' })
      if (cluster === undefined) return void t.pass('not run', { skip: NO_POSTGRES })
      const gateway = await cluster.start()
      await gateway.install(simulator.connect().code)
      simulator.expireTokens()
      const acceptTokens = await refuseTokens(cluster)

      const outcomes = [await gateway.outcome()]
      await until(() => failedSaves(gateway) >= 5)
      outcomes.push(await gateway.outcome())
      const before = await cluster.grant()
      gateway.kill('SIGTERM')
      await sleep(3_000)
      const hasWaited = gateway.child.exitCode === null
      await acceptTokens()

      t.equal(await gateway.ended, 0)
      t.strictSame(outcomes, ['200', '200'])
      t.match(before, { generation: 1, intentAt: Number, leaseOwner: String })
      t.ok(hasWaited, 'the process waits for the vault beyond SHUTDOWN_GRACE_MS')
      t.match(await cluster.grant(), { generation: 2, intentAt: null })
      t.equal(refreshes(simulator).length, 1)
      const again = await cluster.start()
      t.equal(await again.outcome(), '200')
      t.equal(refreshes(simulator).length, 1)
    }
  )

  t.test(`a process that shuts down during a refresh leaves it to the next process (${kind})`, async (t) => {
    const simulator = await startSimulator(t)
    const cluster = await openCluster(t, kind, simulator, { SHUTDOWN_GRACE_MS: '1500' })
    if (cluster === undefined) return void t.pass('not run', { skip: NO_POSTGRES })
    const gateway = await cluster.start()
    await gateway.install(simulator.connect().code)
    simulator.expireTokens()
    simulator.failNext({ kind: 'slow', delayMs: 60_000, path: '/oauth/token' })
    const late = gateway.outcome({ 'x-request-timeout-ms': '500' })
    await until(() => refreshes(simulator).length === 1)

    gateway.kill('SIGTERM')

    t.equal(await gateway.ended, 0)
    t.equal(await late, '504 deadline-exceeded')
    t.match(await cluster.grant(), { generation: 1, leaseOwner: null, state: 'backing-off', failures: 1 })
    const again = await cluster.start()
    await until(async () => (await cluster.grant())?.generation === 2)
    t.equal(await again.outcome(), '200')
    t.ok(refreshes(simulator).every(({ status }) => status === 200))
  })
}

/** A gateway in this process whose connection to PostgreSQL the test can cut. */
async function behindProxy(t: Test, more: Record<string, string> = {}) {
  const url = await postgresDatabase(t)
  if (url === undefined) return undefined
  const { hostname, port } = new URL(url)
  const proxy = await startProxy(t, { host: hostname, port: Number(port || 5432) })
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const env = { DATABASE_URL: Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(proxy.port) }).href }
  const gateway = await startGateway(t, { simulator, env: { ...env, ...more }, now: clock.now })
  return { proxy, clock, simulator, ...gateway }
}

for (const mode of ['cut', 'hang'] as const) {
  t.test(
    `while the connection to the database is ${mode}, calls go on with cached tokens, and the gateway recovers by itself`,
    async (t) => {
      const gateway = await behindProxy(t)
      if (gateway === undefined) return void t.pass('not run', { skip: NO_POSTGRES })
      const { proxy, clock, simulator, patch, call } = gateway
      const other = `/records/${SEED.schemaKey}/${SEED.recordId}?locationId=${SEED.secondLocationId}`
      await patch(CHANGE)

      proxy.set(mode)
      clock.move(20_000)
      const startedAt = performance.now()
      const replies = [await patch(CHANGE), await patch(CHANGE), await patch(CHANGE)]
      const tookMs = performance.now() - startedAt
      const ready = await call('/readyz')
      const unknown = await patch(CHANGE, {}, other)
      clock.move(25 * HOUR)
      const expired = await patch(CHANGE)
      const sent = refreshes(simulator).length
      proxy.set('pass')
      await until(async () => (await call('/readyz')).status === 200)

      t.strictSame(
        replies.map(({ status }) => status),
        [200, 200, 200]
      )
      // Three calls that waited for the database would take longer on any machine.
      t.ok(tookMs < 5_000, `${tookMs} ms`)
      t.match(ready.json, { status: 503, code: 'vault-unavailable' })
      for (const reply of [unknown, expired]) {
        t.match(reply.json, { status: 503, code: 'vault-unavailable', retryable: true })
        t.match(reply.headers.get('retry-after'), /^[1-9]\d*$/)
      }
      t.equal(sent, 0, 'no refresh token is spent while its successor could not be saved')
      await until(async () => (await patch(CHANGE)).status === 200)
      t.match(await gateway.vault.loadGrant(`location:${SEED.locationId}`), { generation: 2 })
    }
  )
}

t.test(
  'while the token endpoint is down no call is refused, and the token is renewed without a call afterwards',
  async (t) => {
    const clock = createClock()
    const simulator = await startSimulator(t, { now: clock.now })
    const { patch, vault } = await startGateway(t, { simulator, now: clock.now })
    const grant = () => vault.loadGrant(`location:${SEED.locationId}`)
    simulator.failNext({ kind: 'status', status: 503, path: '/oauth/token', times: 1_000 })
    clock.move(21 * HOUR)

    await until(async () => (await grant())?.failures === 1)
    const first = (await patch(CHANGE)).status
    clock.move(5_000)
    await until(async () => (await grant())?.failures === 2)
    const second = (await patch(CHANGE)).status
    const whileDown = await grant()
    simulator.clearFaults()
    clock.move(10_000)
    await until(async () => (await grant())?.generation === 2)

    t.strictSame([first, second], [200, 200])
    t.match(whileDown, {
      state: 'backing-off',
      generation: 1,
      stateReason: /token endpoint/,
      dueAt: Number,
      intentAt: Number
    })
    t.match(await grant(), { state: 'connected', failures: 0, stateReason: null })
    t.strictSame(refreshes(simulator).filter(({ status }) => status === 200).length, 1)
  }
)

t.test('a shutdown keeps to its grace time while the database hangs and nothing is unsaved', async (t) => {
  const gateway = await behindProxy(t, { SHUTDOWN_GRACE_MS: '1000' })
  if (gateway === undefined) return void t.pass('not run', { skip: NO_POSTGRES })
  const { proxy, simulator, patch, call, close } = gateway
  simulator.expireTokens()
  simulator.failNext({ kind: 'hang', path: '/oauth/token' })
  const cut = Promise.allSettled([patch(CHANGE), call('/readyz')])
  await until(() => refreshes(simulator).length + simulator.received({ path: '/oauth/token' }).length > 0)
  proxy.set('hang')
  cut.then(() => undefined)
  void call('/readyz').catch(() => undefined)

  const startedAt = performance.now()
  await close()
  const tookMs = performance.now() - startedAt

  // Generous for a busy machine. A shutdown that waited for the database would never end.
  t.ok(tookMs < 12_000, `${tookMs} ms`)
  await cut
})

t.test('when the database is read-only, an install is refused before its code is spent', async (t) => {
  const DATABASE_URL = await postgresDatabase(t)
  if (DATABASE_URL === undefined) return void t.pass('not run', { skip: NO_POSTGRES })
  const simulator = await startSimulator(t)
  const { pathname } = new URL(DATABASE_URL)
  const before = await startGateway(t, { simulator, env: { DATABASE_URL } })
  await before.close()
  const gateway = await startGateway(t, { simulator, env: { DATABASE_URL }, connected: false })
  // As after a failover to a standby. It applies to new connections only, so the existing ones are closed.
  await sql(DATABASE_URL, `alter database ${pathname.slice(1)} set default_transaction_read_only = on`)
  await sql(
    DATABASE_URL,
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()'
  )

  const reply = await gateway.install(simulator.connect().code)

  t.equal(reply.status, 503)
  t.equal(simulator.tokenCalls().length, 1, 'only the first install')
  t.equal((await gateway.patch(CHANGE)).status, 200, 'stored tokens are still used')
})

t.test('a gateway whose SQLite file was deleted is not ready and refuses installs', async (t) => {
  const simulator = await startSimulator(t)
  const { call, install, config } = await startGateway(t, { simulator, connected: false })
  rmSync(config.vault.url.slice('sqlite:'.length))

  const [ready, installed] = [await call('/readyz'), await install(simulator.connect().code)]

  t.match(ready.json, { status: 503, code: 'vault-unavailable' })
  t.equal(installed.status, 503)
  t.strictSame(simulator.tokenCalls(), [])
})

t.test('a gateway whose SQLite file was replaced renews no tokens that it could not save', async (t) => {
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const { patch, config } = await startGateway(t, { simulator, now: clock.now })
  const path = config.vault.url.slice('sqlite:'.length)
  copyFileSync(path, `${path}.copy`)
  renameSync(`${path}.copy`, path)
  clock.move(25 * HOUR)

  const reply = await patch(CHANGE)

  t.match(reply.json, { status: 503, code: 'vault-unavailable' })
  t.strictSame(refreshes(simulator), [])
})

t.test('unusual characters and numbers in HighLevel’s token answers are stored and shown', async (t) => {
  for (const kind of DATABASE_KINDS) {
    const DATABASE_URL = await createDatabaseUrl(t, kind)
    if (DATABASE_URL === undefined) return void t.pass('not run', { skip: NO_POSTGRES })
    const simulator = await startSimulator(t)
    const gateway = await startGateway(t, { simulator, env: { DATABASE_URL } })
    const grant = () => gateway.vault.loadGrant(`location:${SEED.locationId}`)
    const scope = 'objects/record.write\0'
    const issued = simulator.grantTokens()
    const body = { access_token: issued.accessToken, refresh_token: issued.refreshToken, expires_in: 1e99, scope }
    simulator.expireTokens()
    simulator.failNext({ kind: 'status', status: 200, body, path: '/oauth/token' })
    await gateway.patch(CHANGE)
    const renewed = await grant()
    const shown = await fetch(`${gateway.adminOrigin}/locations/${SEED.locationId}`)
    const refusal = { error: 'invalid_client', error_description: 'a\0b\u001b[31mc' }
    simulator.failNext({ kind: 'status', status: 400, body: refusal, path: '/oauth/token', times: 9 })
    await gateway.vault.markVerified(`location:${SEED.locationId}`, 2, 1)
    simulator.expireTokens()
    await until(async () => {
      await gateway.patch(CHANGE)
      return (await grant())?.state === 'backing-off'
    })

    t.match(renewed, { generation: 2, tokens: { refreshToken: issued.refreshToken } }, kind)
    t.equal(shown.status, 200)
    t.match(await grant(), { stateReason: /a b \[31mc/, failures: 1 }, kind)
  }
})

t.test('a call whose API key cannot be looked up in time is answered in time', async (t) => {
  const gateway = await behindProxy(t)
  if (gateway === undefined) return void t.pass('not run', { skip: NO_POSTGRES })
  gateway.proxy.set('hang')
  const startedAt = performance.now()

  const reply = await gateway.patch(CHANGE, { key: 'rgk_unknown', headers: { 'x-request-timeout-ms': '300' } })

  t.match(reply.json, { code: 'vault-unavailable', applied: 'no' })
  t.ok(performance.now() - startedAt < 600)
})
