import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../problems.ts'

/** Failed authentications of one address in a minute; further ones are told to wait. */
const MAX_FAILURES = 60
const MINUTE_MS = 60_000

/** Callers and addresses that are counted at a time; beyond that the longest unseen are forgotten. */
const MAX_COUNTED = 20_000

export interface FailureLimit {
  /** Counts a failed authentication. Rejects with a Problem where the address has had too many. */
  count(request: FastifyRequest): Promise<void>
}

const limited = (detail: string, retryAfterSeconds: number) =>
  new Problem('caller-rate-limited', detail, { retryAfterSeconds: Math.max(1, retryAfterSeconds) })

/** @fastify/rate-limit, for its counters only: its own headers are not those of the current IETF draft. */
export const rateLimitCounters = fp(
  async (app: FastifyInstance) => app.register(rateLimit, { global: false, cache: MAX_COUNTED }),
  { name: 'rate-limit-counters' }
)

/** Of IPv6 the /64, which is what one customer has. */
const addressOf = (request: FastifyRequest) => normalizeIP(request.ip, 64)

/** The install routes of one address in a minute: each callback costs a call of HighLevel's token endpoint. */
const MAX_INSTALLS = 30

/** Limits each address of the scope it is registered in. */
export const addressLimit = fp(
  async (app: FastifyInstance) => {
    const limit = app.createRateLimit({
      max: MAX_INSTALLS,
      timeWindow: MINUTE_MS,
      keyGenerator: (request) => `install:${addressOf(request)}`
    })
    app.addHook('onRequest', async (request) => {
      const state = await limit(request)
      if (!state.isAllowed && state.isExceeded) throw limited('Too many installs from this address', state.ttlInSeconds)
    })
  },
  { name: 'address-limit', dependencies: ['rate-limit-counters'] }
)

/** Failed authentications by address. `TRUST_PROXY` decides what the address of a request is. */
export function createFailureLimit(app: FastifyInstance): FailureLimit {
  const failures = app.createRateLimit({
    max: MAX_FAILURES,
    timeWindow: MINUTE_MS,
    keyGenerator: (request) => `address:${addressOf(request)}`
  })

  return {
    async count(request) {
      const state = await failures(request)
      if (!state.isAllowed && state.isExceeded) {
        throw limited('Too many failed authentications from this address', state.ttlInSeconds)
      }
    }
  }
}

/**
 * Limits each caller of a guarded scope; stands behind auth. The fields are those of the IETF's RateLimit header
 * draft 11: the policy in force, and what is left of it.
 */
export const callerLimit = fp(
  async (app: FastifyInstance, { max, windowMs }: { max: number; windowMs: number }) => {
    const limit = app.createRateLimit({
      max,
      timeWindow: windowMs,
      keyGenerator: (request) => `caller:${request.caller.id}`
    })
    const policy = `"caller";q=${max};w=${Math.ceil(windowMs / 1_000)}`

    app.addHook('onRequest', async (request, reply) => {
      const state = await limit(request)
      if (state.isAllowed) return
      reply
        .header('ratelimit-policy', policy)
        .header('ratelimit', `"caller";r=${state.remaining};t=${state.ttlInSeconds}`)
      if (state.isExceeded) throw limited('This caller sends more calls than its limit allows', state.ttlInSeconds)
    })
  },
  { name: 'caller-limit', dependencies: ['auth', 'rate-limit-counters'] }
)
