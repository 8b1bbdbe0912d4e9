import { Problem } from '../../problems/problem.ts'
import { toRetryAfterSeconds } from '../answer-headers.ts'
import type { Answer, Layer, LocationCall, Send } from '../call.ts'
import { createInFlight } from './in-flight.ts'
import { createBreakerStats, type Failure } from './stats.ts'

/** An open circuit lets one call through this often, to see. */
const PROBE_EVERY_MS = 1_000
/** A location that nobody has called for so long gets a new chance. */
const FORGOTTEN_MS = 60_000

export type Scope = 'upstream' | 'location'

interface Deps {
  log: { warn(record: object, message: string): void; info(record: object, message: string): void }
  onChange?: (scope: Scope, state: 'open' | 'closed') => void
}

interface Circuit {
  probeAt: number
}

/** How an attempt speaks against HighLevel. Refusals do not, nor does a caller's own short deadline. */
function failureOf(outcome: unknown): Failure | undefined {
  if (outcome instanceof Problem) {
    return outcome.code === 'upstream-failed' || outcome.code === 'upstream-timeout' ? 'lost' : undefined
  }
  const { status } = outcome as Partial<Answer>
  if (status === undefined || status < 500) return undefined
  // These come from what stands before HighLevel's own programs; its 500 may be about one record.
  return status === 502 || status === 503 || status === 504 ? 'lost' : 'failed'
}

const unavailable = ({ probeAt }: Circuit, at: number) =>
  new Problem('upstream-unavailable', 'HighLevel does not answer as it should: calls are held back for a moment', {
    retryAfterSeconds: toRetryAfterSeconds(probeAt - at)
  })

/**
 * Stops calls that HighLevel would only fail. It is judged by how many locations fare badly, each counting once: trouble
 * of several opens the circuit for all, trouble of a single one for that one at most, and 500s of a single one, which
 * may be about its data, for nobody. cockatiel's breakers count calls, so that one busy location would speak for all.
 *
 * `guard` is a layer before the quota, since a call that is not sent needs no place in it. The calls that are sent `begin`
 * and `end` behind the quota.
 */
export function createBreaker({ log, onChange }: Deps) {
  const evidence = createBreakerStats()
  const underWay = createInFlight()
  const locations = new Map<string, Circuit>()
  let upstream: Circuit | undefined

  /** What is open already stays as it is: only a probe that failed puts off the next one. */
  const open = (locationId: string | undefined, at: number, why: string) => {
    if (upstream !== undefined || (locationId !== undefined && locations.has(locationId))) return
    const circuit = { probeAt: at + PROBE_EVERY_MS }
    if (locationId === undefined) upstream = circuit
    else locations.set(locationId, circuit)
    for (const [id, { probeAt }] of locations) if (probeAt < at - FORGOTTEN_MS) locations.delete(id)
    const scope = locationId === undefined ? 'upstream' : 'location'
    onChange?.(scope, 'open')
    log.warn(
      { scope, ...(locationId !== undefined && { location: locationId }), why },
      'calls to HighLevel are held back'
    )
  }

  const close = (locationId: string) => {
    if (upstream !== undefined) {
      upstream = undefined
      onChange?.('upstream', 'closed')
      log.info({ scope: 'upstream' }, 'HighLevel answers again')
    }
    if (locations.delete(locationId)) {
      onChange?.('location', 'closed')
      log.info({ scope: 'location', location: locationId }, 'HighLevel answers again')
    }
  }

  const judge = (locationId: string, failure: Failure, at: number) => {
    const verdict = evidence.failed(locationId, failure, at)
    if (verdict === 'upstream') open(undefined, at, 'calls of several locations fail')
    else if (verdict === 'location') open(locationId, at, 'calls of this location fail')
  }

  /** Calls that are never answered make no failures until their time is over. */
  const listen = (locationId: string, at: number) => {
    const scope = underWay.silence(locationId, at)
    if (scope !== undefined) open(scope === 'upstream' ? undefined : locationId, at, 'nothing is answered')
  }

  const openFor = (locationId: string): Circuit | undefined => upstream ?? locations.get(locationId)

  const probe = async (next: Send<LocationCall>, call: LocationCall, circuit: Circuit, nextAt: number) => {
    circuit.probeAt = nextAt
    const probeCall = { ...call, isProbe: true, isSent: false }
    try {
      return await next(probeCall)
    } catch (error) {
      // It was not even tried, for want of quota or of a caller: another may find out at once.
      const isTried = probeCall.isSent || failureOf(error) !== undefined
      if (!isTried && circuit.probeAt === nextAt) circuit.probeAt = performance.now()
      throw error
    }
  }

  const guard: Layer<LocationCall> = (next) => (call) => {
    if (underWay.isMany()) listen(call.locationId, performance.now())
    if (upstream === undefined && locations.size === 0) return next(call)
    const circuit = openFor(call.locationId)
    if (circuit === undefined) return next(call)
    const at = performance.now()
    if (at < circuit.probeAt) return Promise.reject(unavailable(circuit, at))
    return probe(next, call, circuit, at + PROBE_EVERY_MS)
  }

  const end = (call: LocationCall, outcome: unknown, at: number): void => {
    const isAnswer = !(outcome instanceof Error)
    const failure = failureOf(outcome)
    const isProof = isAnswer && failure === undefined
    if (call.isBackground) {
      if (isProof && call.isProbe) close(call.locationId)
      return
    }
    underWay.end(call.locationId, isAnswer, at)
    if (failure !== undefined) judge(call.locationId, failure, at)
    else if (isProof) {
      evidence.succeeded(call.locationId, at)
      if (upstream !== undefined || locations.size > 0) close(call.locationId)
    }
  }

  return {
    guard,

    /** A call goes on the wire. The problem of one that must not: it may have waited since the guard let it pass. */
    begin(call: LocationCall): Problem | undefined {
      const circuit = openFor(call.locationId)
      if (circuit !== undefined && !call.isProbe) return unavailable(circuit, performance.now())
      if (!call.isBackground) underWay.begin(call.locationId)
      return undefined
    },

    /** What came of it: an answer, or the error that came in its place. */
    end,

    /** For the metrics: whether calls of all locations are held back, and of how many single ones. */
    state: () => ({ isOpen: upstream !== undefined, locations: locations.size })
  }
}

export type Breaker = ReturnType<typeof createBreaker>
