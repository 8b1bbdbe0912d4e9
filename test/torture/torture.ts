import { setTimeout as sleep } from 'node:timers/promises'
import type { Simulator } from '../simulator/simulator.ts'
import { type Cluster, openCluster } from '../support/gateway-process.ts'
import { type Scope, startSimulator, until } from '../support/harness.ts'
import { postgresClient } from '../support/postgres.ts'
import { createDisruptions } from './disruptions.ts'
import { type Gateways, startGateways } from './gateways.ts'
import { planRounds, type Size } from './plan.ts'
import { findBadOutcomes, findGrantViolations, reviewRefreshes } from './violations.ts'

const ROUND_MS = 60
/** Short, so that access tokens also expire on their own. */
const ACCESS_TTL_SECONDS = 30
const CALL_DEADLINE_MS = 2_000
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

/** Runs the rounds of a seed against gateway processes on one PostgreSQL, and checks that no grant was lost. */
export async function torture(scope: Scope, seed: number, size: Size, log: (text: string) => void): Promise<Findings> {
  const simulator = await startSimulator(scope, {
    burstMax: 1_000_000,
    dailyMax: 1_000_000_000,
    accessTtlSeconds: ACCESS_TTL_SECONDS
  })
  const env = { LOG_LEVEL: 'warn', REQUEST_DEADLINE_MS: String(CALL_DEADLINE_MS) }
  const cluster = await openCluster(scope, 'postgres', simulator, env)
  if (cluster === undefined) throw new Error('The torture test needs PostgreSQL')
  const lockClient = await postgresClient(scope, cluster.url)
  const gateways = await startGateways(cluster, size.gateways)
  const { outcomes } = gateways
  const disruptions = createDisruptions({ simulator, cluster, gateways, lockClient, locations: size.locations })
  const { counts } = disruptions

  await gateways.connect(simulator, size.locations)
  for (const [index, round] of planRounds(seed, size).entries()) {
    if (index % 200 === 0)
      log(`round ${index}, ${counts.kills} kills, ${counts.pauses} pauses, ${JSON.stringify(outcomes)}`)
    await Promise.all([disruptions.playRound(round), sleep(ROUND_MS)])
  }
  await disruptions.settle()

  const badOutcomes = findBadOutcomes(outcomes)
  const grantViolations = await checkGrants(simulator, cluster, gateways, size)
  const { violations: refreshViolations, ...refreshes } = reviewRefreshes(simulator)
  return { outcomes, ...counts, ...refreshes, violations: [...badOutcomes, ...grantViolations, ...refreshViolations] }
}

/** Waits until each location can be called again, then checks its grant. All locations share one time limit. */
async function checkGrants(simulator: Simulator, cluster: Cluster, gateways: Gateways, size: Size): Promise<string[]> {
  const deadline = Date.now() + SETTLE_TIMEOUT_MS
  const violations: string[] = []
  for (let n = 0; n < size.locations; n += 1) {
    await until(async () => (await gateways.call(n % size.gateways, n)) === '200' || Date.now() > deadline)
    // Repeated, because a renewal may be between HighLevel's answer and its save right now. A lost grant stays lost.
    let found: string[] = []
    await until(async () => {
      found = await findGrantViolations(simulator, cluster, n)
      return found.length === 0 || Date.now() > deadline
    })
    violations.push(...found)
  }
  return violations
}
