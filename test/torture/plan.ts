import type { Fault, FaultTarget } from '../simulator/faults.ts'

/** mulberry32: small, seeded, and good enough to choose by. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What befalls the gateways in one round. Locations and gateways are numbers. */
export interface Round {
  /** Whose access token ends now. One location's ends no more than once within a call. */
  expires: number | undefined
  /** What becomes of the next call of the token endpoint. */
  fault: (Fault & FaultTarget) | undefined
  /** Which gateway is killed and started again. */
  kills: number | undefined
  /** Which gateway stands still, and for how many milliseconds: longer than a lease at times. */
  pauses: { gateway: number; ms: number } | undefined
  /** For how many milliseconds nobody can write to the store. */
  stallMs: number | undefined
  /** For how long the token endpoint is down from now on, and how many refreshes after that are carried out and answered 504. */
  outage: { ms: number; lost: number } | undefined
  /** Which gateway is called for which location. */
  calls: { gateway: number; location: number }[]
}

/** Of a process that stands still: longer than a lease. */
export const LONGEST_PAUSE_MS = 12_000

const path = '/oauth/token'

const BUSY = { error: 'invalid_grant', error_description: 'token request is already being processed' }

/** Every way in which a token call goes wrong without HighLevel having said that the grant is spent. */
const faults: ((random: () => number) => Fault & FaultTarget)[] = [
  (random) => ({ kind: 'slow', delayMs: Math.floor(random() * 1_500), path }),
  // Now and then longer than a lease.
  (random) => ({ kind: 'slow', delayMs: Math.floor(random() ** 4 * 14_000), path }),
  () => ({ kind: 'reset-before', path }),
  () => ({ kind: 'reset-after', path }),
  () => ({ kind: 'truncated', path }),
  () => ({ kind: 'empty', path }),
  () => ({ kind: 'html', path }),
  () => ({ kind: 'status-after', status: 504, body: { message: 'Gateway Timeout' }, path }),
  () => ({ kind: 'status-after', status: 302, headers: { location: '/maintenance' }, path }),
  () => ({ kind: 'status-after', status: 409, body: BUSY, path }),
  () => ({ kind: 'status', status: 409, body: BUSY, path }),
  () => ({ kind: 'status', status: 500, body: { statusCode: 500, message: 'Something went wrong' }, path }),
  () => ({ kind: 'status', status: 503, body: 'no healthy upstream', path }),
  () => ({ kind: 'status', status: 429, body: { statusCode: 429, message: 'Too Many Requests' }, path })
]

export interface Size {
  rounds: number
  gateways: number
  locations: number
}

/** The same seed gives the same rounds; what happens in them is up to the clock. */
export function planRounds(seed: number, { rounds, gateways, locations }: Size): Round[] {
  const random = createRandom(seed)
  const upTo = (count: number) => Math.floor(random() * count)
  const some = <Value>(share: number, make: () => Value): Value | undefined => (random() < share ? make() : undefined)

  return Array.from({ length: rounds }, (_, index) => ({
    expires: some(0.6, () => index % locations),
    fault: some(0.35, () => faults[upTo(faults.length)]?.(random)),
    kills: some(0.03, () => upTo(gateways)),
    pauses: some(0.01, () => ({ gateway: upTo(gateways), ms: 500 + upTo(LONGEST_PAUSE_MS - 500) })),
    stallMs: some(0.03, () => 50 + upTo(800)),
    outage: some(0.001, () => ({ ms: 5_000 + upTo(45_000), lost: 1 + upTo(6) })),
    calls: Array.from({ length: 1 + upTo(3) }, () => ({ gateway: upTo(gateways), location: upTo(locations) }))
  }))
}
