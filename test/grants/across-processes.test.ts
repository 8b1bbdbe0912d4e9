import t, { type Test } from 'tap'
import { SEED } from '../simulator/seed.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { DATABASE_KINDS, type DatabaseKind } from '../support/databases.ts'
import { type Cluster, LOCATION, openCluster } from '../support/gateway-process.ts'
import { startSimulator, until } from '../support/harness.ts'
import { NO_POSTGRES } from '../support/postgres.ts'

t.jobs = 8

const refreshes = (simulator: Simulator) =>
  simulator.tokenCalls().filter(({ grantType }) => grantType === 'refresh_token')
const spentTwice = (simulator: Simulator) =>
  refreshes(simulator).filter(({ status, withinGrace }) => status >= 400 || withinGrace)

type Scenario = (t: Test, parts: { simulator: Simulator; cluster: Cluster }) => Promise<void>

function onEachCluster(name: string, kinds: readonly DatabaseKind[], scenario: Scenario, options = {}): void {
  for (const kind of kinds) {
    t.test(`${name} (${kind})`, async (t) => {
      const simulator = await startSimulator(t, options)
      const cluster = await openCluster(t, kind, simulator)
      if (cluster === undefined) t.pass('not run', { skip: NO_POSTGRES })
      else await scenario(t, { simulator, cluster })
    })
  }
}

onEachCluster(
  'three processes with thirty calls each renew an expired token once',
  ['postgres'],
  async (t, { simulator, cluster }) => {
    const gateways = await Promise.all([cluster.start(), cluster.start(), cluster.start()])
    await gateways[0]?.install(simulator.connect().code)
    await Promise.all(gateways.map(({ outcome }) => outcome()))
    simulator.expireTokens()

    const outcomes = await Promise.all(gateways.flatMap(({ outcome }) => Array.from({ length: 30 }, () => outcome())))

    t.equal(outcomes.length, 90)
    t.strictSame(new Set(outcomes), new Set(['200']))
    t.equal(refreshes(simulator).length, 1)
    t.strictSame(spentTwice(simulator), [])
  }
)

onEachCluster(
  'a token endpoint slower than a lease is asked once, and calls with an earlier deadline get their 504',
  DATABASE_KINDS,
  async (t, { simulator, cluster }) => {
    const gateways = await Promise.all(
      cluster.url.startsWith('sqlite:') ? [cluster.start()] : [cluster.start(), cluster.start()]
    )
    await gateways[0]?.install(simulator.connect().code)
    await Promise.all(gateways.map(({ outcome }) => outcome()))
    simulator.expireTokens()
    simulator.failNext({ kind: 'slow', delayMs: 12_000, path: '/oauth/token' })

    const short = gateways.map(({ outcome }) => outcome({ 'x-request-timeout-ms': '1000' }))
    const long = gateways.map(({ outcome }) => outcome())

    t.strictSame(new Set(await Promise.all(short)), new Set(['504 deadline-exceeded']))
    t.match(await cluster.grant(), { generation: 1, leaseOwner: String, intentAt: Number })
    t.strictSame(new Set(await Promise.all(long)), new Set(['200']))
    t.equal(refreshes(simulator).length, 1)
    t.match(await cluster.grant(), { generation: 2, leaseOwner: null, intentAt: null })
  }
)

onEachCluster(
  'a lasting 401 costs one renewal across all processes, and at most two writes for each call',
  ['postgres'],
  async (t, { simulator, cluster }) => {
    const gateways = await Promise.all([cluster.start(), cluster.start(), cluster.start()])
    await gateways[0]?.install(simulator.connect().code)
    const body = { statusCode: 401, message: 'Invalid JWT' }
    // Reads of the object fail too: an accepted read would verify the token.
    simulator.failNext({ kind: 'status', status: 401, body, path: '/objects/', times: 1_000 })

    const outcomes = []
    for (let round = 0; round < 4; round += 1) for (const { outcome } of gateways) outcomes.push(await outcome())

    t.strictSame(new Set(outcomes), new Set(['409 location-reconnect-required']))
    t.equal(refreshes(simulator).length, 1)
    t.ok(simulator.received({ method: 'PUT' }).length <= 2 * outcomes.length)
    t.match(await cluster.grant(), { verified: false, state: 'connected' })

    simulator.clearFaults()
    t.equal(await gateways[1]?.outcome(), '200')
    await until(async () => (await cluster.grant())?.verified === true)
    simulator.expireTokens()
    t.equal(await gateways[2]?.outcome(), '200', 'a token that has worked since may be renewed again')
  }
)

/** The moments of a renewal at which a process may die, each with the fault that holds the renewal there. */
const moments = {
  'before HighLevel did anything': (simulator: Simulator) => simulator.failNext({ kind: 'hang', path: '/oauth/token' }),
  'after HighLevel rotated, before its answer': (simulator: Simulator) =>
    simulator.failNext({ kind: 'slow', delayMs: 60_000, path: '/oauth/token' }),
  'after the answer, before the save': (simulator: Simulator) =>
    simulator.failNext({ kind: 'slow', delayMs: 700, path: '/oauth/token' })
}
type Moment = keyof typeof moments

/** Starts a gateway, brings its renewal to this moment and kills the process there. */
async function killAt(t: Test, moment: Moment, simulator: Simulator, cluster: Cluster): Promise<void> {
  const victim = await cluster.start()
  await victim.install(simulator.connect().code)
  t.equal(await victim.outcome(), '200')
  simulator.expireTokens()
  moments[moment](simulator)

  const cut = victim.outcome().catch(() => 'cut off')
  await until(() => simulator.received({ path: '/oauth/token' }).some(({ body }) => body.includes('refresh_token=')))
  const unlock = moment === 'after the answer, before the save' ? await lockStore(t, cluster) : async () => undefined
  if (moment === 'after the answer, before the save') await until(() => refreshes(simulator).length === 1)
  // The answer is on its way, and its save waits for the lock.
  if (moment === 'after the answer, before the save') await new Promise((resolve) => setTimeout(resolve, 1_200))
  victim.kill('SIGKILL')
  await victim.ended
  await unlock()

  t.equal(await cut, 'cut off')
  t.match(await cluster.grant(), { generation: 1, intentAt: Number })
}

/** Blocks all writes until the returned function is called. */
async function lockStore(t: Test, { url }: Cluster): Promise<() => Promise<void>> {
  if (url.startsWith('sqlite:')) {
    const { default: Database } = await import('better-sqlite3')
    const database = new Database(url.slice('sqlite:'.length))
    database.exec('begin immediate')
    return async () => void database.exec('rollback').close()
  }
  const { postgresClient } = await import('../support/postgres.ts')
  const client = await postgresClient(t, url)
  await client.query('begin')
  await client.query('lock table grants in exclusive mode')
  return async () => {
    // A statement that waits for a lock outlives its client and would still be carried out.
    await client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    )
    await client.query('rollback')
  }
}

for (const moment of Object.keys(moments) as Moment[]) {
  onEachCluster(
    `killed ${moment}, the restarted process finishes the renewal within the grace and without a call`,
    DATABASE_KINDS,
    async (t, { simulator, cluster }) => {
      await killAt(t, moment, simulator, cluster)
      const diedAt = Date.now()

      const restarted = await cluster.start()
      await until(async () => (await cluster.grant())?.generation === 2)

      t.ok(Date.now() - diedAt < 30_000)
      t.equal(await restarted.outcome(), '200')
      t.strictSame(
        refreshes(simulator).filter(({ status }) => status >= 400),
        []
      )
    }
  )

  onEachCluster(
    `killed ${moment}, another process finishes the renewal within the grace and without a call`,
    ['postgres'],
    async (t, { simulator, cluster }) => {
      const other = await cluster.start()
      await killAt(t, moment, simulator, cluster)
      const diedAt = Date.now()

      await until(async () => (await cluster.grant())?.generation === 2)

      t.ok(Date.now() - diedAt < 30_000)
      t.equal(await other.outcome(), '200')
      t.strictSame(
        refreshes(simulator).filter(({ status }) => status >= 400),
        []
      )
    }
  )
}

const WITHOUT_GRACE = { graceMs: 0 }
const LOST: Moment = 'after HighLevel rotated, before its answer'

onEachCluster(
  'if HighLevel gives no grace, the token is minted from the company',
  DATABASE_KINDS,
  async (t, { simulator, cluster }) => {
    await killAt(t, LOST, simulator, cluster)
    const restarted = await cluster.start()
    await restarted.install(simulator.connectCompany({ approvedLocations: [SEED.locationId] }).code)

    await until(async () => (await cluster.grant())?.kind === 'minted')

    t.equal(await restarted.outcome(), '200')
    t.match(await cluster.grant(), { state: 'connected', generation: 2 })
  },
  WITHOUT_GRACE
)

onEachCluster(
  'with neither grace nor company the location has to be reconnected, with one alarm and no more refreshes',
  ['postgres'],
  async (t, { simulator, cluster }) => {
    const other = await cluster.start()
    await killAt(t, LOST, simulator, cluster)

    await until(async () => (await cluster.grant())?.state === 'reconnect-required')
    const callsBefore = simulator.tokenCalls().length
    const outcomes = [await other.outcome(), await other.outcome(), await other.outcome()]

    t.strictSame(new Set(outcomes), new Set(['409 location-reconnect-required']))
    t.equal(simulator.tokenCalls().length, callsBefore)
    // One of the killed process, whose answer was lost, and one of the other process.
    t.equal(refreshes(simulator).length, 2)
    const alarmsOf = () => other.lines().filter(({ msg }) => String(msg).includes('must be connected again'))
    await until(() => alarmsOf().length > 0)
    const alarms = alarmsOf()
    t.match(alarms, [{ level: 50, subject: LOCATION }])
    t.equal(alarms.length, 1)

    await other.install(simulator.connect().code)
    t.equal(await other.outcome(), '200', 'a new install reconnects it')
  },
  WITHOUT_GRACE
)
