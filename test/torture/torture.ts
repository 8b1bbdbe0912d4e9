import { setTimeout as sleep } from 'node:timers/promises'
import { TOKEN_PATH } from '../simulator/oauth.ts'
import { SEED } from '../simulator/seed.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { type Cluster, type GatewayProcess, openCluster } from '../support/gateway-process.ts'
import { type Scope, startSimulator, until } from '../support/harness.ts'
import { postgresClient } from '../support/postgres.ts'
import { sql } from '../support/stores.ts'
import { MAX_PAUSE_MS, planRounds, type Round, type Size } from './plan.ts'

const ROUND_MS = 60
/** Short, so that access tokens also expire on their own. */
const ACCESS_TTL_SECONDS = 30
const CALL_DEADLINE_MS = 2_000
/**
 * While a refresh has been unanswered for longer, no gateway is killed: HighLevel's grace of 30 s limits how many
 * crashes one refresh can survive.
 */
const MAX_INTENT_AGE_MS = 8_000
const SETTLE_TIMEOUT_MS = 90_000

export interface Findings {
  outcomes: Record<string, number>
  kills: number
  pauses: number
  outages: number
  tokenCalls: number
  renewals: number
  /** Broken guarantees. Empty if no grant was lost. */
  violations: string[]
}

const locationId = (n: number) => `torture${String(n).padStart(3, '0')}`
const recordId = (n: number) => n.toString(16).padStart(24, '0')
const recordPath = (n: number) => `/records/${SEED.schemaKey}/${recordId(n)}?locationId=${locationId(n)}`
const subject = (n: number) => `location:${locationId(n)}` as const

/** Outcomes that callers may get during faults. An answer that says the grant has ended is not one of them. */
const isAcceptable = (outcome: string) => /^(200|503 |504 |gone)/.test(outcome)

/** Starts gateways that can be killed and restarted. */
async function startGateways(cluster: Cluster, count: number) {
  const gateways: (GatewayProcess | undefined)[] = await Promise.all(
    Array.from({ length: count }, () => cluster.start())
  )
  let restarting: Promise<unknown> = Promise.resolve()
  return {
    get: (n: number) => gateways[n],
    async restart(n: number): Promise<void> {
      const victim = gateways[n]
      gateways[n] = undefined
      victim?.kill('SIGKILL')
      await victim?.ended
      restarting = restarting.then(async () => {
        gateways[n] = await cluster.start()
      })
    },
    allRestarted: () => restarting,
    allRunning: () => gateways.every((gateway) => gateway !== undefined)
  }
}

/** Whether the refresh of some leased grant was first sent too long ago to risk another crash. */
async function hasOldIntent({ vault }: Cluster, locations: number): Promise<boolean> {
  const grants = await vault.listLocations({ limit: locations })
  return grants.some(({ leaseOwner, intentAt, priorIntentAt }) => {
    const askedAt = priorIntentAt ?? intentAt
    return leaseOwner !== null && askedAt !== null && Date.now() - askedAt > MAX_INTENT_AGE_MS
  })
}

/** The refreshes with this token, for messages: seconds since the first one, and the status of the answer. */
function describeRefreshes(simulator: Simulator, refreshToken: string): string {
  const refreshes = simulator.tokenCalls().filter((call) => call.refreshToken === refreshToken)
  const secondsAfter = (at: number) => ((at - (refreshes[0]?.at ?? at)) / 1_000).toFixed(1)
  return refreshes
    .map(({ at, status, withinGrace }) => `${secondsAfter(at)} s: ${status}${withinGrace ? ' within grace' : ''}`)
    .join(', ')
}

/** Whether HighLevel may have issued tokens that are not saved yet. */
async function hasIntent({ vault }: Cluster, locations: number): Promise<boolean> {
  const grants = await vault.listLocations({ limit: locations })
  return grants.some(({ intentAt }) => intentAt !== null)
}

/** Compares the grant of one location in the vault with the tokens that the simulator issued. */
async function findViolations(simulator: Simulator, { vault }: Cluster, n: number): Promise<string[]> {
  const grant = await vault.loadGrant(subject(n))
  const violations: string[] = []
  const current = grant?.tokens?.refreshToken ?? ''
  if (grant?.state !== 'connected')
    violations.push(
      `${locationId(n)} is ${grant?.state}: ${grant?.stateReason}; refreshes: ${describeRefreshes(simulator, current)}`
    )
  const chain = simulator.refreshChain(locationId(n))
  if (chain.at(-1) !== current) violations.push(`${locationId(n)} does not hold its newest refresh token`)
  if (grant?.generation !== chain.length)
    violations.push(
      `${locationId(n)} is at generation ${grant?.generation} after ${chain.length} issued refresh tokens`
    )
  return violations
}

/** Runs the rounds of a seed against gateway processes on one PostgreSQL, and checks that no grant was lost. */
export async function torture(scope: Scope, seed: number, size: Size, log: (text: string) => void): Promise<Findings> {
  const simulator = await startSimulator(scope, {
    burstMax: 1_000_000,
    dailyMax: 1_000_000_000,
    accessTtlSeconds: ACCESS_TTL_SECONDS
  })
  const cluster = await openCluster(scope, 'postgres', simulator, {
    LOG_LEVEL: 'warn',
    REQUEST_DEADLINE_MS: String(CALL_DEADLINE_MS)
  })
  if (cluster === undefined) throw new Error('The torture test needs PostgreSQL')
  const lockClient = await postgresClient(scope, cluster.url)
  const gateways = await startGateways({ ...cluster, start: () => cluster.start({ LOG_LEVEL: 'info' }) }, size.gateways)
  const outcomes: Record<string, number> = {}
  const pending: Promise<unknown>[] = []
  let [kills, pauses, outages] = [0, 0, 0]
  let [isDown, canKill] = [false, true]

  const call = async (gateway: GatewayProcess | undefined, n: number): Promise<string> => {
    const outcome = gateway === undefined ? 'gone' : await gateway.outcome({}, recordPath(n)).catch(() => 'gone')
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    return outcome
  }

  /**
   * Expires the access token of a location. If no call has used it yet, makes its renewal due instead: HighLevel would
   * not reject a token that it has just issued.
   */
  const expireToken = async (n: number): Promise<void> => {
    const grant = await cluster.vault.loadGrant(subject(n))
    if (grant?.verified) simulator.expireToken(grant.tokens?.accessToken ?? '')
    else await sql(cluster.url, `update grants set due_at = 0 where subject = '${subject(n)}' and lease_until is null`)
  }

  const lockGrants = async (ms: number): Promise<void> => {
    await lockClient.query('begin')
    await lockClient.query('lock table grants in exclusive mode')
    await sleep(ms)
    await lockClient.query('rollback')
  }

  const pauseGateway = (n: number, ms: number): void => {
    const gateway = gateways.get(n)
    if (gateway === undefined) return
    pauses += 1
    gateway.kill('SIGSTOP')
    // Has no effect on a gateway that was killed in the meantime.
    pending.push(sleep(ms).then(() => gateway.kill('SIGCONT')))
  }

  /**
   * Takes the token endpoint down for a while. The first refreshes after that are executed, but their answers are lost.
   * Clears all other faults first, and waits until no refresh is unanswered: an outage that outlasts HighLevel's grace
   * after a lost answer loses the grant, whatever a gateway does.
   */
  const breakTokenEndpoint = async ({ ms, lost }: NonNullable<Round['outage']>): Promise<void> => {
    simulator.clearFaults()
    await until(async () => !(await hasIntent(cluster, size.locations)))
    outages += 1
    simulator.failNext({ kind: 'status', status: 503, body: 'no healthy upstream', path: TOKEN_PATH, times: 1_000_000 })
    // By then, all answers sent before the outage have arrived, even at a stopped process.
    const arrived = sleep(Math.min(ms, MAX_PAUSE_MS)).then(() => {
      canKill = true
    })
    await Promise.all([arrived, sleep(ms)])
    simulator.clearFaults()
    simulator.failNext({
      kind: 'status-after',
      status: 504,
      body: 'upstream request timeout',
      path: TOKEN_PATH,
      times: lost
    })
  }

  const playRound = async (round: Round): Promise<void> => {
    const { expireTokenOf, fault, kill: killed, pause: paused, stallMs, outage, calls } = round
    if (expireTokenOf !== undefined) await expireToken(expireTokenOf)
    if (outage !== undefined && !isDown) {
      isDown = true
      canKill = false
      pending.push(
        breakTokenEndpoint(outage).finally(() => {
          isDown = false
        })
      )
    }
    if (fault !== undefined && !isDown) simulator.failNext(fault)
    if (paused !== undefined) pauseGateway(paused.gateway, paused.ms)
    if (stallMs !== undefined) await lockGrants(stallMs)
    for (const { gateway, location } of calls) void call(gateways.get(gateway), location)
    if (killed === undefined || !canKill || !gateways.allRunning() || (await hasOldIntent(cluster, size.locations)))
      return
    await gateways.restart(killed)
    kills += 1
  }

  for (let n = 0; n < size.locations; n += 1) {
    simulator.putRecord(SEED.schemaKey, { id: recordId(n), locationId: locationId(n) })
    await gateways.get(n % size.gateways)?.install(simulator.connect(locationId(n)).code)
  }
  for (const [index, round] of planRounds(seed, size).entries()) {
    if (index % 200 === 0) log(`round ${index}, ${kills} kills, ${pauses} pauses, ${JSON.stringify(outcomes)}`)
    await Promise.all([playRound(round), sleep(ROUND_MS)])
  }

  await gateways.allRestarted()
  await Promise.all(pending)
  simulator.clearFaults()
  const violations = Object.entries(outcomes).flatMap(([outcome, count]) =>
    isAcceptable(outcome) ? [] : [`${count} calls were answered with ${outcome}`]
  )
  const settleDeadline = Date.now() + SETTLE_TIMEOUT_MS
  for (let n = 0; n < size.locations; n += 1) {
    await until(async () => (await call(gateways.get(n % size.gateways), n)) === '200' || Date.now() > settleDeadline)
    // Repeated, because a renewal may be between HighLevel's answer and its save right now. A lost grant stays lost.
    let found: string[] = []
    await until(async () => {
      found = await findViolations(simulator, cluster, n)
      return found.length === 0 || Date.now() > settleDeadline
    })
    violations.push(...found)
  }

  const tokenCalls = simulator.tokenCalls().filter(({ grantType }) => grantType === 'refresh_token')
  const refusedRefreshes = tokenCalls.filter(({ status }) => status === 400 || status === 401)
  if (refusedRefreshes.length > 0)
    violations.push(`${refusedRefreshes.length} refresh tokens were sent after their grace`)
  const renewals = new Set(tokenCalls.filter(({ status }) => status === 200).map(({ refreshToken }) => refreshToken))
    .size
  return { outcomes, kills, pauses, outages, tokenCalls: tokenCalls.length, renewals, violations }
}
