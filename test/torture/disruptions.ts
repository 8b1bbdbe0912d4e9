import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { TOKEN_PATH } from '../simulator/oauth.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { sql } from '../support/databases.ts'
import type { Cluster } from '../support/gateway-process.ts'
import { until } from '../support/harness.ts'
import { type Gateways, subject } from './gateways.ts'
import { MAX_PAUSE_MS, type Round } from './plan.ts'

/**
 * While a refresh has been unanswered for longer, no gateway is killed: HighLevel's grace of 30 s limits how many
 * crashes one refresh can survive.
 */
const MAX_INTENT_AGE_MS = 8_000

interface Deps {
  simulator: Simulator
  cluster: Cluster
  gateways: Gateways
  /** A database connection that locks the table of grants. */
  lockClient: pg.Client
  /** The number of locations. */
  locations: number
}

/** Plays rounds. `counts` says how many disruptions there have been. */
export function createDisruptions({ simulator, cluster, gateways, lockClient, locations }: Deps) {
  const counts = { kills: 0, pauses: 0, outages: 0 }
  const pending: Promise<unknown>[] = []
  let [isDown, canKill] = [false, true]

  /**
   * Takes the token endpoint down for a while. The first refreshes after that are executed, but their answers are lost.
   * Clears all other faults first, and waits until no refresh is unanswered: an outage that outlasts HighLevel's grace
   * after a lost answer loses the grant, whatever a gateway does.
   */
  const breakTokenEndpoint = async ({ ms, lost }: NonNullable<Round['outage']>): Promise<void> => {
    isDown = true
    canKill = false
    simulator.clearFaults()
    await until(async () => !(await hasIntent(cluster, locations)))
    counts.outages += 1
    simulator.failNext({ kind: 'status', status: 503, body: 'no healthy upstream', path: TOKEN_PATH, times: 1_000_000 })
    // By then, all answers sent before the outage have arrived, even at a stopped process.
    const arrived = sleep(Math.min(ms, MAX_PAUSE_MS)).then(() => {
      canKill = true
    })
    await Promise.all([arrived, sleep(ms)])
    simulator.clearFaults()
    const timeout = { status: 504, body: 'upstream request timeout' }
    simulator.failNext({ kind: 'status-after', ...timeout, path: TOKEN_PATH, times: lost })
  }
  const endOutage = () => {
    isDown = false
  }

  const pauseGateway = (n: number, ms: number): void => {
    const gateway = gateways.get(n)
    if (gateway === undefined) return
    counts.pauses += 1
    gateway.kill('SIGSTOP')
    // Has no effect on a gateway that was killed in the meantime.
    pending.push(sleep(ms).then(() => gateway.kill('SIGCONT')))
  }

  const killGateway = async (n: number): Promise<void> => {
    if (!canKill || !gateways.allRunning() || (await hasOldIntent(cluster, locations))) return
    await gateways.restart(n)
    counts.kills += 1
  }

  return {
    counts,

    async playRound({ expireTokenOf, fault, kill, pause, stallMs, outage, calls }: Round): Promise<void> {
      if (expireTokenOf !== undefined) await expireToken(simulator, cluster, expireTokenOf)
      if (outage !== undefined && !isDown) pending.push(breakTokenEndpoint(outage).finally(endOutage))
      if (fault !== undefined && !isDown) simulator.failNext(fault)
      if (pause !== undefined) pauseGateway(pause.gateway, pause.ms)
      if (stallMs !== undefined) await lockGrants(lockClient, stallMs)
      for (const { gateway, location } of calls) void gateways.call(gateway, location)
      if (kill !== undefined) await killGateway(kill)
    },

    /** Resolves when pauses and outages have ended and all gateways run again. Clears faults that are left. */
    async settle(): Promise<void> {
      await gateways.allRestarted()
      await Promise.all(pending)
      simulator.clearFaults()
    }
  }
}

/**
 * Expires the access token of a location. If no call has used it yet, makes its renewal due instead: HighLevel would
 * not reject a token that it has just issued.
 */
async function expireToken(simulator: Simulator, { vault, url }: Cluster, n: number): Promise<void> {
  const grant = await vault.loadGrant(subject(n))
  if (grant?.verified) simulator.expireToken(grant.tokens?.accessToken ?? '')
  else await sql(url, `update grants set due_at = 0 where subject = '${subject(n)}' and lease_until is null`)
}

async function lockGrants(client: pg.Client, ms: number): Promise<void> {
  await client.query('begin')
  await client.query('lock table grants in exclusive mode')
  await sleep(ms)
  await client.query('rollback')
}

/** Whether HighLevel may have issued tokens that are not saved yet. */
async function hasIntent({ vault }: Cluster, locations: number): Promise<boolean> {
  const grants = await vault.listLocations({ limit: locations })
  return grants.some(({ intentAt }) => intentAt !== null)
}

/** Whether the refresh of some leased grant was first sent too long ago to risk another crash. */
async function hasOldIntent({ vault }: Cluster, locations: number): Promise<boolean> {
  const grants = await vault.listLocations({ limit: locations })
  return grants.some(({ leaseOwner, intentAt, priorIntentAt }) => {
    const firstSentAt = priorIntentAt ?? intentAt
    return leaseOwner !== null && firstSentAt !== null && Date.now() - firstSentAt > MAX_INTENT_AGE_MS
  })
}
