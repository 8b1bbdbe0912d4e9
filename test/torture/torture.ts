import { setTimeout as sleep } from 'node:timers/promises'
import { TOKEN_PATH } from '../simulator/oauth.ts'
import { SEED } from '../simulator/seed.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { type Cluster, type GatewayProcess, openCluster } from '../support/gateway-process.ts'
import { type Scope, startSimulator, until } from '../support/harness.ts'
import { postgresClient } from '../support/postgres.ts'
import { sql } from '../support/stores.ts'
import { LONGEST_PAUSE_MS, planRounds, type Round, type Size } from './plan.ts'

const EVERY_MS = 60
/** Short, so that tokens also end by themselves. */
const ACCESS_TTL_SECONDS = 30
const CALL_MS = 2_000
/** A refresh that dangles for longer is let be: HighLevel's grace of 30 s bounds how many deaths one refresh can take. */
const LET_BE_MS = 8_000
const SETTLES_WITHIN_MS = 90_000

export interface Findings {
  outcomes: Record<string, number>
  kills: number
  pauses: number
  outages: number
  tokenCalls: number
  renewals: number
  /** What must never happen. Empty: no grant was lost. */
  violations: string[]
}

const locationId = (n: number) => `torture${String(n).padStart(3, '0')}`
const recordId = (n: number) => n.toString(16).padStart(24, '0')
const recordPath = (n: number) => `/records/${SEED.schemaKey}/${recordId(n)}?locationId=${locationId(n)}`
const subject = (n: number) => `location:${locationId(n)}` as const

/** Answers that a caller may get while things break. A grant that is called lost is none of them. */
const isFair = (outcome: string) => /^(200|503 |504 |gone)/.test(outcome)

/** Gateways that are killed and come back. */
async function startGateways(site: Cluster, count: number) {
  const gateways: (GatewayProcess | undefined)[] = await Promise.all(Array.from({ length: count }, () => site.start()))
  let coming: Promise<unknown> = Promise.resolve()
  return {
    get: (n: number) => gateways[n],
    async restart(n: number): Promise<void> {
      const victim = gateways[n]
      gateways[n] = undefined
      victim?.kill('SIGKILL')
      await victim?.ended
      coming = coming.then(async () => {
        gateways[n] = await site.start()
      })
    },
    allBack: () => coming,
    isWhole: () => gateways.every((gateway) => gateway !== undefined)
  }
}

/** Whether some refresh that is claimed has been asked for long ago already. */
async function hasOldIntent({ vault }: Cluster, locations: number): Promise<boolean> {
  const grants = await vault.listLocations({ limit: locations })
  return grants.some(({ leaseOwner, intentAt, priorIntentAt }) => {
    const askedAt = priorIntentAt ?? intentAt
    return leaseOwner !== null && askedAt !== null && Date.now() - askedAt > LET_BE_MS
  })
}

/** When HighLevel was asked with this refresh token, in seconds after the first time, and the status of its answer, if any. */
function asksWith(simulator: Simulator, refreshToken: string): string {
  const asks = simulator.tokenCalls().filter((call) => call.refreshToken === refreshToken)
  const after = (at: number) => ((at - (asks[0]?.at ?? at)) / 1_000).toFixed(1)
  return asks.map(({ at, status, withinGrace }) => `${after(at)} s: ${status}${withinGrace ? ' again' : ''}`).join(', ')
}

/** Whether HighLevel may have rotated what the store does not hold yet. */
async function hasIntent({ vault }: Cluster, locations: number): Promise<boolean> {
  const grants = await vault.listLocations({ limit: locations })
  return grants.some(({ intentAt }) => intentAt !== null)
}

/** What the simulator and the vault say of one location at the end. */
async function judge(simulator: Simulator, { vault }: Cluster, n: number): Promise<string[]> {
  const grant = await vault.loadGrant(subject(n))
  const faults: string[] = []
  const current = grant?.tokens?.refreshToken ?? ''
  if (grant?.state !== 'connected')
    faults.push(`${locationId(n)} is ${grant?.state}: ${grant?.stateReason}; asked ${asksWith(simulator, current)}`)
  const chain = simulator.refreshChain(locationId(n))
  if (chain.at(-1) !== current) faults.push(`${locationId(n)} holds a refresh token that is not its newest`)
  if (grant?.generation !== chain.length)
    faults.push(`${locationId(n)} is in generation ${grant?.generation} after ${chain.length} pairs`)
  return faults
}

/** Plays the rounds of a seed against three gateways on one PostgreSQL, and says what it found. */
export async function torture(scope: Scope, seed: number, size: Size, say: (text: string) => void): Promise<Findings> {
  const simulator = await startSimulator(scope, {
    burstMax: 1_000_000,
    dailyMax: 1_000_000_000,
    accessTtlSeconds: ACCESS_TTL_SECONDS
  })
  const site = await openCluster(scope, 'postgres', simulator, {
    LOG_LEVEL: 'warn',
    REQUEST_DEADLINE_MS: String(CALL_MS)
  })
  if (site === undefined) throw new Error('The torture needs PostgreSQL')
  const locker = await postgresClient(scope, site.url)
  const gateways = await startGateways({ ...site, start: () => site.start({ LOG_LEVEL: 'info' }) }, size.gateways)
  const outcomes: Record<string, number> = {}
  const ends: Promise<unknown>[] = []
  let [kills, pauses, outages] = [0, 0, 0]
  let [isDown, mayKill] = [false, true]

  const call = async (gateway: GatewayProcess | undefined, n: number): Promise<string> => {
    const outcome = gateway === undefined ? 'gone' : await gateway.outcome({}, recordPath(n)).catch(() => 'gone')
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    return outcome
  }

  /** Ends the access token of a location; one that nobody has used yet falls due instead: HighLevel takes what it has just made. */
  const end = async (n: number): Promise<void> => {
    const grant = await site.vault.loadGrant(subject(n))
    if (grant?.verified) simulator.expireToken(grant.tokens?.accessToken ?? '')
    else await sql(site.url, `update grants set due_at = 0 where subject = '${subject(n)}' and lease_until is null`)
  }

  const stall = async (ms: number): Promise<void> => {
    await locker.query('begin')
    await locker.query('lock table grants in exclusive mode')
    await sleep(ms)
    await locker.query('rollback')
  }

  const pause = (n: number, ms: number): void => {
    const gateway = gateways.get(n)
    if (gateway === undefined) return
    pauses += 1
    gateway.kill('SIGSTOP')
    // A killed one is gone by then, and does not mind.
    ends.push(sleep(ms).then(() => gateway.kill('SIGCONT')))
  }

  /**
   * The token endpoint is down; what it does next it does without saying so. Whatever else was to go wrong is forgotten.
   * An outage that began after an answer was lost could be longer than HighLevel's grace, and nothing would help.
   */
  const breakDown = async ({ ms, lost }: NonNullable<Round['outage']>): Promise<void> => {
    simulator.clearFaults()
    await until(async () => !(await hasIntent(site, size.locations)))
    outages += 1
    simulator.failNext({ kind: 'status', status: 503, body: 'no healthy upstream', path: TOKEN_PATH, times: 1_000_000 })
    // By then whatever was on its way as it began has arrived, even at a process that stood still.
    const settled = sleep(Math.min(ms, LONGEST_PAUSE_MS)).then(() => {
      mayKill = true
    })
    await Promise.all([settled, sleep(ms)])
    simulator.clearFaults()
    simulator.failNext({
      kind: 'status-after',
      status: 504,
      body: 'upstream request timeout',
      path: TOKEN_PATH,
      times: lost
    })
  }

  const play = async (round: Round): Promise<void> => {
    const { expires, fault, kills: killed, pauses: paused, stallMs, outage, calls } = round
    if (expires !== undefined) await end(expires)
    if (outage !== undefined && !isDown) {
      isDown = true
      mayKill = false
      ends.push(
        breakDown(outage).finally(() => {
          isDown = false
        })
      )
    }
    if (fault !== undefined && !isDown) simulator.failNext(fault)
    if (paused !== undefined) pause(paused.gateway, paused.ms)
    if (stallMs !== undefined) await stall(stallMs)
    for (const { gateway, location } of calls) void call(gateways.get(gateway), location)
    if (killed === undefined || !mayKill || !gateways.isWhole() || (await hasOldIntent(site, size.locations))) return
    await gateways.restart(killed)
    kills += 1
  }

  for (let n = 0; n < size.locations; n += 1) {
    simulator.putRecord(SEED.schemaKey, { id: recordId(n), locationId: locationId(n) })
    await gateways.get(n % size.gateways)?.install(simulator.connect(locationId(n)).code)
  }
  for (const [index, round] of planRounds(seed, size).entries()) {
    if (index % 200 === 0) say(`round ${index}, ${kills} kills, ${pauses} pauses, ${JSON.stringify(outcomes)}`)
    await Promise.all([play(round), sleep(EVERY_MS)])
  }

  await gateways.allBack()
  await Promise.all(ends)
  simulator.clearFaults()
  const violations = Object.entries(outcomes).flatMap(([outcome, count]) =>
    isFair(outcome) ? [] : [`${count} calls were answered ${outcome}`]
  )
  const settledBy = Date.now() + SETTLES_WITHIN_MS
  for (let n = 0; n < size.locations; n += 1) {
    await until(async () => (await call(gateways.get(n % size.gateways), n)) === '200' || Date.now() > settledBy)
    // A renewal may be between HighLevel's rotation and its save at this very moment: what is lost stays lost.
    let faults: string[] = []
    await until(async () => {
      faults = await judge(simulator, site, n)
      return faults.length === 0 || Date.now() > settledBy
    })
    violations.push(...faults)
  }

  const tokenCalls = simulator.tokenCalls().filter(({ grantType }) => grantType === 'refresh_token')
  const refused = tokenCalls.filter(({ status }) => status === 400 || status === 401)
  if (refused.length > 0) violations.push(`${refused.length} refresh tokens were sent after their grace`)
  const renewals = new Set(tokenCalls.filter(({ status }) => status === 200).map(({ refreshToken }) => refreshToken))
    .size
  return { outcomes, kills, pauses, outages, tokenCalls: tokenCalls.length, renewals, violations }
}
