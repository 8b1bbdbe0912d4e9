import { Problem } from '../../problems/problem.ts'
import type { Clock } from '../../shared/clock.ts'
import { toRetryAfterSeconds } from '../answer-headers.ts'
import type { Answer, Layer, LocationCall, Send } from '../call.ts'
import { createBreakerStats, type Failure } from './failure-stats.ts'
import { createInFlight } from './in-flight.ts'

/** An open circuit lets one probe through this often. */
const PROBE_INTERVAL_MS = 1_000
/** The open circuit of a location without calls is dropped after this. */
const IDLE_MS = 60_000

export type Scope = 'upstream' | 'location'

interface Deps {
  clock: Pick<Clock, 'monotonic'>
  log: { warn(record: object, message: string): void; info(record: object, message: string): void }
  onChange?: (scope: Scope, state: 'open' | 'closed') => void
}

/** An open circuit. */
interface Circuit {
  /** When the next probe may go. */
  probeAt: number
}

/** The failure that an answer or error shows. Refusals are none, nor is a caller's own short deadline. */
function failureOf(outcome: unknown): Failure | undefined {
  if (outcome instanceof Problem) {
    return outcome.code === 'upstream-failed' || outcome.code === 'upstream-timeout' ? 'lost' : undefined
  }
  const { status } = outcome as Partial<Answer>
  if (status === undefined || status < 500) return undefined
  // These come from a proxy in front of HighLevel. HighLevel's own 500 may be about one record.
  return status === 502 || status === 503 || status === 504 ? 'lost' : 'failed'
}

const unavailable = ({ probeAt }: Circuit, at: number) =>
  new Problem('upstream-unavailable', 'HighLevel is failing, so calls are refused for a moment', {
    retryAfterSeconds: toRetryAfterSeconds(probeAt - at)
  })

/**
 * A circuit breaker: refuses calls that HighLevel would only fail. It judges HighLevel by how many locations fail, each
 * counting once. Failures of several locations open the circuit for all, those of a single one for that location at
 * most. 500s of a single location open none, since they may be about its data. Breakers such as cockatiel's count
 * calls: with them one busy location would decide for all.
 *
 * `guard` is a layer ahead of the quota, since a call that is not sent needs no permit. Calls that are sent `begin` and
 * `end` behind the quota.
 */
export function createBreaker({ clock, log, onChange }: Deps) {
  const stats = createBreakerStats()
  const inFlight = createInFlight(clock)
  const locations = new Map<string, Circuit>()
  let upstream: Circuit | undefined

  /** An open circuit stays as it is: only a failed probe postpones the next one. */
  const open = (locationId: string | undefined, at: number, why: string) => {
    if (upstream !== undefined || (locationId !== undefined && locations.has(locationId))) return
    const circuit = { probeAt: at + PROBE_INTERVAL_MS }
    if (locationId === undefined) upstream = circuit
    else locations.set(locationId, circuit)
    for (const [id, { probeAt }] of locations) if (probeAt < at - IDLE_MS) locations.delete(id)
    const scope = locationId === undefined ? 'upstream' : 'location'
    onChange?.(scope, 'open')
    log.warn(
      { scope, ...(locationId !== undefined && { location: locationId }), why },
      'circuit opened: calls to HighLevel are refused'
    )
  }

  const close = (locationId: string) => {
    if (upstream !== undefined) {
      upstream = undefined
      onChange?.('upstream', 'closed')
      log.info({ scope: 'upstream' }, 'circuit closed: HighLevel answers again')
    }
    if (locations.delete(locationId)) {
      onChange?.('location', 'closed')
      log.info({ scope: 'location', location: locationId }, 'circuit closed: HighLevel answers again')
    }
  }

  const recordFailure = (locationId: string, failure: Failure, at: number) => {
    const verdict = stats.failed(locationId, failure, at)
    if (verdict === 'upstream') open(undefined, at, 'calls of several locations fail')
    else if (verdict === 'location') open(locationId, at, 'calls of this location fail')
  }

  /** Calls that hang show no failure until their time-out. */
  const checkSilence = (locationId: string, at: number) => {
    const scope = inFlight.silence(locationId, at)
    if (scope !== undefined) open(scope === 'upstream' ? undefined : locationId, at, 'no call is answered')
  }

  const circuitOf = (locationId: string): Circuit | undefined => upstream ?? locations.get(locationId)

  const probe = async (next: Send<LocationCall>, call: LocationCall, circuit: Circuit, nextAt: number) => {
    circuit.probeAt = nextAt
    const probeCall = { ...call, isProbe: true, isSent: false }
    try {
      return await next(probeCall)
    } catch (error) {
      // It was never sent, for lack of quota or because the caller left: another call may probe at once.
      const isTried = probeCall.isSent || failureOf(error) !== undefined
      if (!isTried && circuit.probeAt === nextAt) circuit.probeAt = clock.monotonic()
      throw error
    }
  }

  const guard: Layer<LocationCall> = (next) => (call) => {
    if (inFlight.isMany()) checkSilence(call.locationId, clock.monotonic())
    if (upstream === undefined && locations.size === 0) return next(call)
    const circuit = circuitOf(call.locationId)
    if (circuit === undefined) return next(call)
    const at = clock.monotonic()
    if (at < circuit.probeAt) return Promise.reject(unavailable(circuit, at))
    return probe(next, call, circuit, at + PROBE_INTERVAL_MS)
  }

  const end = (call: LocationCall, outcome: unknown, at: number): void => {
    const isAnswer = !(outcome instanceof Error)
    const failure = failureOf(outcome)
    const isSuccess = isAnswer && failure === undefined
    if (call.isBackground) {
      if (isSuccess && call.isProbe) close(call.locationId)
      return
    }
    inFlight.end(call.locationId, isAnswer, at)
    if (failure !== undefined) recordFailure(call.locationId, failure, at)
    else if (isSuccess) {
      stats.succeeded(call.locationId, at)
      if (upstream !== undefined || locations.size > 0) close(call.locationId)
    }
  }

  return {
    guard,

    /** A call is about to be sent. Returns a Problem if it must not: it may have waited since the guard let it pass. */
    begin(call: LocationCall): Problem | undefined {
      const circuit = circuitOf(call.locationId)
      if (circuit !== undefined && !call.isProbe) return unavailable(circuit, clock.monotonic())
      if (!call.isBackground) inFlight.begin(call.locationId)
      return undefined
    },

    /** The call has ended. `outcome`: its answer, or the error that came instead. */
    end,

    /** For the metrics: whether the circuit is open for all locations, and for how many single ones. */
    state: () => ({ isOpen: upstream !== undefined, locations: locations.size })
  }
}

export type Breaker = ReturnType<typeof createBreaker>
