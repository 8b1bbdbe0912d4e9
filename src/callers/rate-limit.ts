import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Redis } from 'ioredis'
import { Problem } from '../problems/problem.ts'
import { type Check, type SharedRedis, wrongAnswer } from '../shared/redis.ts'

/** Failed authentications of one address in a minute; further ones are told to wait. */
const MAX_FAILURES = 60
const MINUTE_MS = 60_000

/** Callers and addresses that are counted at a time; beyond that the longest unseen are forgotten. */
const MAX_COUNTED = 20_000

interface CounterOptions {
  /** Absent: this process counts by itself. */
  redis: SharedRedis | undefined
  /** How many processes share a limit while Redis, which would count for all of them, does not answer. */
  replicas: () => number
}

interface LimitOptions {
  max: number
  windowMs: number
  keyOf: (request: FastifyRequest) => string
}

/** Counts a request, and says what is left of the limit. Its type knows of an allow-list, and there is none. */
type Counter = ReturnType<FastifyInstance['createRateLimit']>
type Count = Extract<Awaited<ReturnType<Counter>>, { isAllowed: false }>

declare module 'fastify' {
  interface FastifyInstance {
    /** A limit, counted over all processes where they share a Redis that answers, else in this one. */
    createLimit(options: LimitOptions): Counter
  }
  interface FastifyRequest {
    /** What the caller's own limit says of the request. */
    callerCount: Count | undefined
  }
}

export interface FailureLimit {
  /** Counts a failed authentication. Rejects with a Problem where the address has had too many. */
  count(request: FastifyRequest): Promise<void>
}

const limited = (detail: string, retryAfterSeconds: number) =>
  new Problem('caller-rate-limited', detail, { retryAfterSeconds: Math.max(1, retryAfterSeconds) })

const isPair: Check<[count: number, ttlMs: number]> = (answer): answer is [number, number] =>
  Array.isArray(answer) && answer.length === 2 && answer.every(Number.isSafeInteger)

/** Made of a pair that was looked at. */
const isResult: Check<Awaited<ReturnType<Counter>>> = (answer): answer is Awaited<ReturnType<Counter>> =>
  typeof answer === 'object' && answer !== null

type Done = (error: unknown, answer?: unknown) => void

/**
 * What @fastify/rate-limit needs of Redis: it defines commands of its own, and takes their answers for pairs whatever they
 * are. One that is none would be thrown at by a callback, which ends the process.
 */
function checked(client: Redis): object {
  const commands: Record<string, unknown> = {
    defineCommand(name: string, definition: { lua: string; numberOfKeys: number }) {
      client.defineCommand(name, definition)
      const command = Reflect.get(client, name) as (...args: unknown[]) => unknown
      commands[name] = (...args: unknown[]) => {
        const done = args.pop() as Done
        const look: Done = (error, answer) => (isPair(answer) ? done(null, answer) : done(error ?? wrongAnswer()))
        command.call(client, ...args, look)
      }
    }
  }
  return commands
}

/**
 * @fastify/rate-limit, for its counters only: its own headers are not those of the current IETF draft. It has one store
 * a scope, so the counters of this process and those in Redis live in scopes of their own.
 */
export const rateLimitCounters = fp(
  async (app: FastifyInstance, { redis, replicas }: CounterOptions) => {
    const scopes: { own?: FastifyInstance; shared?: FastifyInstance } = {}
    app.register(async (scope) => {
      await scope.register(rateLimit, { global: false, cache: MAX_COUNTED })
      scopes.own = scope
    })
    app.register(async (scope) => {
      if (redis === undefined) return
      await scope.register(rateLimit, { global: false, redis: checked(redis.client), nameSpace: 'rg:limit:' })
      scopes.shared = scope
    })
    await app.after()

    app.decorate('createLimit', ({ max, windowMs, keyOf }: LimitOptions) => {
      const limit = { timeWindow: windowMs, keyGenerator: keyOf }
      const shared = scopes.shared?.createRateLimit({ ...limit, max })
      const share = redis === undefined ? max : () => Math.ceil(max / replicas())
      const own = scopes.own?.createRateLimit({ ...limit, max: share })
      if (own === undefined) throw new Error('The counters are not registered')

      if (shared === undefined || redis === undefined) return own
      return async (request: FastifyRequest) => (await redis.attempt(() => shared(request), isResult)) ?? own(request)
    })
  },
  { name: 'rate-limit-counters' }
)

/** Of IPv6 the /64, which is what one customer has. */
const addressOf = (request: FastifyRequest) => normalizeIP(request.ip, 64)

/** The install routes of one address in a minute: each callback costs a call of HighLevel's token endpoint. */
const MAX_INSTALLS = 30

/** Limits each address of the scope it is registered in. */
export const addressLimit = fp(
  async (app: FastifyInstance) => {
    const keyOf = (request: FastifyRequest) => `install:${addressOf(request)}`
    const limit = app.createLimit({ max: MAX_INSTALLS, windowMs: MINUTE_MS, keyOf })
    app.addHook('onRequest', async (request) => {
      const count = await limit(request)
      if (!count.isAllowed && count.isExceeded) {
        throw limited('Too many installs from this address', count.ttlInSeconds)
      }
    })
  },
  { name: 'address-limit', dependencies: ['rate-limit-counters'] }
)

/** Failed authentications by address. `TRUST_PROXY` decides what the address of a request is. */
export function createFailureLimit(app: FastifyInstance): FailureLimit {
  const keyOf = (request: FastifyRequest) => `address:${addressOf(request)}`
  const failures = app.createLimit({ max: MAX_FAILURES, windowMs: MINUTE_MS, keyOf })

  return {
    async count(request) {
      const count = await failures(request)
      if (!count.isAllowed && count.isExceeded) {
        throw limited('Too many failed authentications from this address', count.ttlInSeconds)
      }
    }
  }
}

/** Limits each caller of a guarded scope; stands behind auth. */
export const callerLimit = fp(
  async (app: FastifyInstance, { max, windowMs }: { max: number; windowMs: number }) => {
    const limit = app.createLimit({ max, windowMs, keyOf: (request) => `caller:${request.caller.id}` })
    app.decorateRequest('callerCount', undefined)

    app.addHook('onRequest', async (request) => {
      const count = await limit(request)
      if (count.isAllowed) return
      request.callerCount = count
      if (count.isExceeded) throw limited('This caller sends more calls than its limit allows', count.ttlInSeconds)
    })
  },
  { name: 'caller-limit', dependencies: ['auth', 'rate-limit-counters'] }
)
