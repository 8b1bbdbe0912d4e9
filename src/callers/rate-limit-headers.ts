import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { DAY_MS } from '../highlevel/quota/day-quota.ts'
import type { QuotaReport } from '../highlevel/quota/quota.ts'
import type { ProblemCode } from '../problems/catalog.ts'

interface Options {
  windowMs: number
  /** What is known about a location's quota. */
  report: (locationId: string) => QuotaReport | undefined
}

const toSeconds = (ms: number) => Math.max(0, Math.ceil(ms / 1_000))
const shareLeft = (left: number, max: number) => left / Math.max(1, max)

type PolicyName = 'caller' | 'location-burst' | 'location-day'
type Count = NonNullable<FastifyRequest['callerCount']>

/** The policy that rejected the call. */
const rejectedBy: Partial<Record<ProblemCode, PolicyName>> = {
  'caller-rate-limited': 'caller',
  'location-burst-exhausted': 'location-burst',
  'location-daily-exhausted': 'location-day'
}

/** The policy with the smallest share left. */
function findTightest(count: Count, quota: QuotaReport): PolicyName {
  const caller = shareLeft(count.remaining, count.max)
  const burst = shareLeft(quota.burstLeft, quota.burstMax)
  const day = shareLeft(quota.dayLeft, quota.dayMax)
  if (day < burst && day < caller) return 'location-day'
  return burst < caller ? 'location-burst' : 'caller'
}

/** `t` is limited to `w`: HighLevel may ask for a longer wait, and our windows have a small safety margin. */
const formatLeft = (name: PolicyName, calls: number, resetMs: number, windowMs: number) =>
  `"${name}";r=${calls};t=${toSeconds(Math.min(resetMs, windowMs))}`

/** Reports the policy that rejected the call, or else the tightest one. */
function formatRateLimit(
  count: Count,
  windowMs: number,
  quota: QuotaReport | undefined,
  code: ProblemCode | undefined
): string {
  const rejected = code && rejectedBy[code]
  const name = quota === undefined ? 'caller' : (rejected ?? findTightest(count, quota))
  const calls = (known: number) => (name === rejected ? 0 : known)
  if (quota === undefined || name === 'caller') return formatLeft('caller', calls(count.remaining), count.ttl, windowMs)
  return name === 'location-day'
    ? formatLeft(name, calls(quota.dayLeft), quota.dayResetMs, DAY_MS)
    : formatLeft(name, calls(quota.burstLeft), quota.burstResetMs, quota.windowMs)
}

/**
 * Sets the headers of the IETF draft draft-ietf-httpapi-ratelimit-headers-11 on every answer of a guarded scope: all
 * policies, and what is left of the one that rejected the call, or else of the tightest one.
 */
export default fp(
  async (app: FastifyInstance, { windowMs, report }: Options) => {
    // Policies rarely change: the last value is usually the next one too.
    let policy = ''
    let policySource: Partial<QuotaReport> & { callerMax?: number } = {}

    const formatPolicies = (callerMax: number, quota: QuotaReport | undefined): string => {
      const { burstMax, windowMs: burstMs, dayMax } = quota ?? {}
      const isSame =
        policySource.callerMax === callerMax &&
        policySource.burstMax === burstMax &&
        policySource.windowMs === burstMs &&
        policySource.dayMax === dayMax &&
        policy !== ''
      if (isSame) return policy
      policy = `"caller";q=${callerMax};w=${toSeconds(windowMs)}`
      if (quota) policy += `, "location-burst";q=${burstMax};w=${toSeconds(quota.windowMs)}`
      if (quota) policy += `, "location-day";q=${dayMax};w=86400`
      policySource = { callerMax, ...quota }
      return policy
    }

    app.addHook('onSend', (request, reply, payload, done) => {
      const count = request.callerCount
      if (count !== undefined) {
        const quota = request.call && report(request.call.target.locationId)
        reply.header('ratelimit-policy', formatPolicies(count.max, quota))
        reply.header('ratelimit', formatRateLimit(count, windowMs, quota, request.problem?.code))
      }
      done(null, payload)
    })
  },
  { name: 'rate-limit-fields', dependencies: ['caller-limit', 'logging'] }
)
