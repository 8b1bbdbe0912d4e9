import type { Simulator } from '../simulator/simulator.ts'
import type { Cluster } from '../support/gateway-process.ts'
import { locationId, subject } from './gateways.ts'

/** Outcomes that callers may get during faults. An answer that says the grant has ended is not one of them. */
const isAcceptable = (outcome: string) => /^(200|503 |504 |gone)/.test(outcome)

export const findBadOutcomes = (outcomes: Record<string, number>): string[] =>
  Object.entries(outcomes).flatMap(([outcome, count]) =>
    isAcceptable(outcome) ? [] : [`${count} calls were answered with ${outcome}`]
  )

/** Compares the grant of one location in the vault with the tokens that the simulator issued. */
export async function findGrantViolations(simulator: Simulator, { vault }: Cluster, n: number): Promise<string[]> {
  const grant = await vault.loadGrant(subject(n))
  const name = locationId(n)
  const violations: string[] = []
  const current = grant?.tokens?.refreshToken ?? ''
  if (grant?.state !== 'connected') {
    const refreshes = describeRefreshes(simulator, current)
    violations.push(`${name} is ${grant?.state}: ${grant?.stateReason}; refreshes: ${refreshes}`)
  }
  const chain = simulator.refreshChain(name)
  if (chain.at(-1) !== current) violations.push(`${name} does not hold its newest refresh token`)
  if (grant?.generation !== chain.length)
    violations.push(`${name} is at generation ${grant?.generation} after ${chain.length} issued refresh tokens`)
  return violations
}

/** The refreshes with this token, for messages: seconds since the first one, and the status of the answer. */
function describeRefreshes(simulator: Simulator, refreshToken: string): string {
  const refreshes = simulator.tokenCalls().filter((call) => call.refreshToken === refreshToken)
  const secondsAfter = (at: number) => ((at - (refreshes[0]?.at ?? at)) / 1_000).toFixed(1)
  return refreshes
    .map(({ at, status, withinGrace }) => `${secondsAfter(at)} s: ${status}${withinGrace ? ' within grace' : ''}`)
    .join(', ')
}

/** Counts refreshes and the tokens renewed by them. HighLevel rejects a refresh token only after its grace. */
export function reviewRefreshes(simulator: Simulator) {
  const refreshes = simulator.tokenCalls().filter(({ grantType }) => grantType === 'refresh_token')
  const late = refreshes.filter(({ status }) => status === 400 || status === 401)
  const renewed = refreshes.filter(({ status }) => status === 200).map(({ refreshToken }) => refreshToken)
  return {
    tokenCalls: refreshes.length,
    renewals: new Set(renewed).size,
    violations: late.length > 0 ? [`${late.length} refresh tokens were sent after their grace`] : []
  }
}
