import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { QuotaReport } from '../upstream/quota.ts'

interface Options {
  windowMs: number
  /** What is known of a location's quota. */
  report: (locationId: string) => QuotaReport | undefined
}

const seconds = (ms: number) => Math.max(0, Math.ceil(ms / 1_000))
const share = (left: number, max: number) => left / Math.max(1, max)

const left = (name: string, calls: number, resetSeconds: number) => `"${name}";r=${calls};t=${resetSeconds}`

/** What is left of the limit of which the smallest share is left. */
function tightest(count: NonNullable<FastifyRequest['callerCount']>, quota: QuotaReport | undefined): string {
  const caller = share(count.remaining, count.max)
  if (quota !== undefined) {
    const burst = share(quota.burstLeft, quota.burstMax)
    const day = share(quota.dayLeft, quota.dayMax)
    if (day < burst && day < caller) return left('location-day', quota.dayLeft, seconds(quota.dayResetMs))
    if (burst < caller) return left('location-burst', quota.burstLeft, seconds(quota.burstResetMs))
  }
  return left('caller', count.remaining, count.ttlInSeconds)
}

/**
 * The fields of the IETF's RateLimit header draft 11 on every answer of a guarded scope: all policies in force, and what
 * is left of the one that is nearest to its end.
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
        reply.header('ratelimit-policy', policyOf(count.max, quota)).header('ratelimit', tightest(count, quota))
      }
      done(null, payload)
    })
  },
  { name: 'rate-limit-fields', dependencies: ['caller-limit', 'logging'] }
)
