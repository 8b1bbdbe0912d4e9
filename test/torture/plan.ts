import type { Fault, FaultTarget } from '../simulator/faults.ts'

/** mulberry32, a small seeded random number generator. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What happens in one round. Locations and gateways are given by number. */
export interface Round {
  /** The location whose access token expires. Locations take turns, so that none expires twice within one call. */
  expireTokenOf: number | undefined
  /** The fault of the next call of the token endpoint. */
  fault: (Fault & FaultTarget) | undefined
  /** The gateway that is killed and restarted. */
  kill: number | undefined
  /** The gateway that is stopped with SIGSTOP, and for how long: sometimes longer than a lease. */
  pause: { gateway: number; ms: number } | undefined
  /** How long the table of grants is locked, so that nobody can write to it. */
  stallMs: number | undefined
  /** How long the token endpoint is down, and how many refreshes after that are executed but answered with 504. */
  outage: { ms: number; lost: number } | undefined
  /** The calls of the round. */
  calls: { gateway: number; location: number }[]
}

/** The longest time for which a process is stopped: longer than a lease. */
export const MAX_PAUSE_MS = 12_000

const path = '/oauth/token'

const ALREADY_PROCESSING = { error: 'invalid_grant', error_description: 'token request is already being processed' }

/** All the ways in which a token call can fail without HighLevel saying that the grant has ended. */
const faults: ((random: () => number) => Fault & FaultTarget)[] = [
  (random) => ({ kind: 'slow', delayMs: Math.floor(random() * 1_500), path }),
  // Sometimes longer than a lease.
  (random) => ({ kind: 'slow', delayMs: Math.floor(random() ** 4 * 14_000), path }),
  () => ({ kind: 'reset-before', path }),
  () => ({ kind: 'reset-after', path }),
  () => ({ kind: 'truncated', path }),
  () => ({ kind: 'empty', path }),
  () => ({ kind: 'html', path }),
  () => ({ kind: 'status-after', status: 504, body: { message: 'Gateway Timeout' }, path }),
  () => ({ kind: 'status-after', status: 302, headers: { location: '/maintenance' }, path }),
  () => ({ kind: 'status-after', status: 409, body: ALREADY_PROCESSING, path }),
  () => ({ kind: 'status', status: 409, body: ALREADY_PROCESSING, path }),
  () => ({ kind: 'status', status: 500, body: { statusCode: 500, message: 'Something went wrong' }, path }),
  () => ({ kind: 'status', status: 503, body: 'no healthy upstream', path }),
  () => ({ kind: 'status', status: 429, body: { statusCode: 429, message: 'Too Many Requests' }, path })
]

export interface Size {
  rounds: number
  gateways: number
  locations: number
}

/** The same seed gives the same rounds. Their timing still differs from run to run. */
export function planRounds(seed: number, { rounds, gateways, locations }: Size): Round[] {
  const random = createRandom(seed)
  const upTo = (count: number) => Math.floor(random() * count)
  const maybe = <Value>(probability: number, make: () => Value): Value | undefined =>
    random() < probability ? make() : undefined

  return Array.from({ length: rounds }, (_, index) => ({
    expireTokenOf: maybe(0.6, () => index % locations),
    fault: maybe(0.35, () => faults[upTo(faults.length)]?.(random)),
    kill: maybe(0.03, () => upTo(gateways)),
    pause: maybe(0.01, () => ({ gateway: upTo(gateways), ms: 500 + upTo(MAX_PAUSE_MS - 500) })),
    stallMs: maybe(0.03, () => 50 + upTo(800)),
    outage: maybe(0.001, () => ({ ms: 5_000 + upTo(45_000), lost: 1 + upTo(6) })),
    calls: Array.from({ length: 1 + upTo(3) }, () => ({ gateway: upTo(gateways), location: upTo(locations) }))
  }))
}
