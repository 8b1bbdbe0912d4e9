import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { DAY_MS } from '../highlevel/quota/day.ts'
import type { QuotaReport } from '../highlevel/quota/layer.ts'
import type { ProblemCode } from '../problems/catalog.ts'

interface Options {
  windowMs: number
  /** What is known of a location's quota. */
  report: (locationId: string) => QuotaReport | undefined
}

const seconds = (ms: number) => Math.max(0, Math.ceil(ms / 1_000))
const share = (left: number, max: number) => left / Math.max(1, max)

type PolicyName = 'caller' | 'location-burst' | 'location-day'
type Count = NonNullable<FastifyRequest['callerCount']>

/** Which policy refused the call. */
const refusedBy: Partial<Record<ProblemCode, PolicyName>> = {
  'caller-rate-limited': 'caller',
  'location-burst-exhausted': 'location-burst',
  'location-daily-exhausted': 'location-day'
}

/** The policy of which the smallest share is left. */
function tightest(count: Count, quota: QuotaReport): PolicyName {
  const caller = share(count.remaining, count.max)
  const burst = share(quota.burstLeft, quota.burstMax)
  const day = share(quota.dayLeft, quota.dayMax)
  if (day < burst && day < caller) return 'location-day'
  return burst < caller ? 'location-burst' : 'caller'
}

/** HighLevel may have asked for a wait longer than a window, and a window is guarded by a little: `w` bounds `t`. */
const left = (name: PolicyName, calls: number, resetMs: number, windowMs: number) =>
  `"${name}";r=${calls};t=${seconds(Math.min(resetMs, windowMs))}`

/** What is left of the policy that refused the call, else of the tightest one. */
function leftOf(count: Count, windowMs: number, quota: QuotaReport | undefined, code: ProblemCode | undefined): string {
  const refused = code && refusedBy[code]
  const name = quota === undefined ? 'caller' : (refused ?? tightest(count, quota))
  const calls = (known: number) => (name === refused ? 0 : known)
  if (quota === undefined || name === 'caller') return left('caller', calls(count.remaining), count.ttl, windowMs)
  return name === 'location-day'
    ? left(name, calls(quota.dayLeft), quota.dayResetMs, DAY_MS)
    : left(name, calls(quota.burstLeft), quota.burstResetMs, quota.windowMs)
}

/**
 * The fields of the IETF's RateLimit header draft 11 on every answer of a guarded scope: all policies in force, and what
 * is left of the one that refused the call, or is nearest to its end.
 */
export default fp(
  async (app: FastifyInstance, { windowMs, report }: Options) => {
    // Policies hardly ever change: the last one is most often the next one.
    let policy = ''
    let made: Partial<QuotaReport> & { callerMax?: number } = {}

    const policyOf = (callerMax: number, quota: QuotaReport | undefined): string => {
      const { burstMax, windowMs: burstMs, dayMax } = quota ?? {}
      const isSame =
        made.callerMax === callerMax &&
        made.burstMax === burstMax &&
        made.windowMs === burstMs &&
        made.dayMax === dayMax &&
        policy !== ''
      if (isSame) return policy
      policy = `"caller";q=${callerMax};w=${seconds(windowMs)}`
      if (quota) policy += `, "location-burst";q=${burstMax};w=${seconds(quota.windowMs)}`
      if (quota) policy += `, "location-day";q=${dayMax};w=86400`
      made = { callerMax, ...quota }
      return policy
    }

    app.addHook('onSend', (request, reply, payload, done) => {
      const count = request.callerCount
      if (count !== undefined) {
        const quota = request.work && report(request.work.subject.locationId)
        reply.header('ratelimit-policy', policyOf(count.max, quota))
        reply.header('ratelimit', leftOf(count, windowMs, quota, request.problem?.code))
      }
      done(null, payload)
    })
  },
  { name: 'rate-limit-fields', dependencies: ['caller-limit', 'logging'] }
)
