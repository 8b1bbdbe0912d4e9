import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Redis } from 'ioredis'
import { Problem } from '../problems/problem.ts'
import { type CheckAnswer, type SharedRedis, unexpectedAnswer } from '../shared/redis.ts'

/** Failed authentications per address and minute; further ones get a 429. */
const MAX_FAILURES = 60
const MINUTE_MS = 60_000

/** The most callers and addresses counted at a time; beyond that, the least recently seen are dropped. */
const MAX_COUNTED = 20_000

interface CounterOptions {
  /** `undefined`: this process counts by itself. */
  redis: SharedRedis | undefined
  /** How many processes share a limit. Used only while Redis, which counts for all of them, is down. */
  replicas: () => number
}

interface LimitOptions {
  max: number
  windowMs: number
  keyOf: (request: FastifyRequest) => string
}

/** Counts a request and returns what is left of the limit. `Count` leaves out the allow-list, which is not used. */
type Counter = ReturnType<FastifyInstance['createRateLimit']>
type Count = Extract<Awaited<ReturnType<Counter>>, { isAllowed: false }>

declare module 'fastify' {
  interface FastifyInstance {
    /** Creates a limit, counted across processes while their shared Redis answers, otherwise in this process. */
    createLimit(options: LimitOptions): Counter
  }
  interface FastifyRequest {
    /** The state of the caller's limit after this request. */
    callerCount: Count | undefined
  }
}

export interface FailureLimit {
  /** Counts a failed authentication. Rejects with a Problem if the address has had too many. */
  count(request: FastifyRequest): Promise<void>
}

const rateLimited = (detail: string, retryAfterSeconds: number) =>
  new Problem('caller-rate-limited', detail, { retryAfterSeconds: Math.max(1, retryAfterSeconds) })

const isPair: CheckAnswer<[count: number, ttlMs: number]> = (answer): answer is [number, number] =>
  Array.isArray(answer) && answer.length === 2 && answer.every(Number.isSafeInteger)

/** The plugin builds it from an answer that `isPair` has accepted. */
const isResult: CheckAnswer<Awaited<ReturnType<Counter>>> = (answer): answer is Awaited<ReturnType<Counter>> =>
  typeof answer === 'object' && answer !== null

type Done = (error: unknown, answer?: unknown) => void

/**
 * The part of a Redis client that @fastify/rate-limit uses, with checked answers. The plugin defines its own commands
 * and assumes that their answers are pairs; any other answer would throw inside a callback and end the process.
 */
function checkAnswers(client: Redis): object {
  const commands: Record<string, unknown> = {
    defineCommand(name: string, definition: { lua: string; numberOfKeys: number }) {
      client.defineCommand(name, definition)
      const command = Reflect.get(client, name) as (...args: unknown[]) => unknown
      commands[name] = (...args: unknown[]) => {
        const done = args.pop() as Done
        const checkedDone: Done = (error, answer) =>
          isPair(answer) ? done(null, answer) : done(error ?? unexpectedAnswer())
        command.call(client, ...args, checkedDone)
      }
    }
  }
  return commands
}

/**
 * Uses @fastify/rate-limit only for its counters: its headers do not follow the current IETF draft. The plugin has one
 * store per scope, so the counters of this process and those in Redis live in separate scopes.
 */
export const rateLimitCounters = fp(
  async (app: FastifyInstance, { redis, replicas }: CounterOptions) => {
    const scopes: { local?: FastifyInstance; shared?: FastifyInstance } = {}
    app.register(async (scope) => {
      await scope.register(rateLimit, { global: false, cache: MAX_COUNTED })
      scopes.local = scope
    })
    app.register(async (scope) => {
      if (redis === undefined) return
      await scope.register(rateLimit, { global: false, redis: checkAnswers(redis.client), nameSpace: 'rg:limit:' })
      scopes.shared = scope
    })
    await app.after()

    app.decorate('createLimit', ({ max, windowMs, keyOf }: LimitOptions) => {
      const limit = { timeWindow: windowMs, keyGenerator: keyOf }
      const shared = scopes.shared?.createRateLimit({ ...limit, max })
      const share = redis === undefined ? max : () => Math.ceil(max / replicas())
      const local = scopes.local?.createRateLimit({ ...limit, max: share })
      if (local === undefined) throw new Error('The rate limit counters are not registered')

      if (shared === undefined || redis === undefined) return local
      return async (request: FastifyRequest) => (await redis.run(() => shared(request), isResult)) ?? local(request)
    })
  },
  { name: 'rate-limit-counters' }
)

/** IPv6 addresses are cut to their /64, which is what one customer has. */
const addressKey = (request: FastifyRequest) => normalizeIP(request.ip, 64)

/** Calls of the install routes per address and minute: each callback costs a call to HighLevel's token endpoint. */
const MAX_INSTALLS = 30

/** Limits each address, in the scope it is registered in. */
export const addressLimit = fp(
  async (app: FastifyInstance) => {
    const keyOf = (request: FastifyRequest) => `install:${addressKey(request)}`
    const limit = app.createLimit({ max: MAX_INSTALLS, windowMs: MINUTE_MS, keyOf })
    app.addHook('onRequest', async (request) => {
      const count = await limit(request)
      if (!count.isAllowed && count.isExceeded) {
        throw rateLimited('Too many install requests from this address', count.ttlInSeconds)
      }
    })
  },
  { name: 'address-limit', dependencies: ['rate-limit-counters'] }
)

/** Limits failed authentications per address. `TRUST_PROXY` decides what the address of a request is. */
export function createFailureLimit(app: FastifyInstance): FailureLimit {
  const keyOf = (request: FastifyRequest) => `address:${addressKey(request)}`
  const failures = app.createLimit({ max: MAX_FAILURES, windowMs: MINUTE_MS, keyOf })

  return {
    async count(request) {
      const count = await failures(request)
      if (!count.isAllowed && count.isExceeded) {
        throw rateLimited('Too many failed authentications from this address', count.ttlInSeconds)
      }
    }
  }
}

/** Limits each caller of a guarded scope. Register after auth. */
export const callerLimit = fp(
  async (app: FastifyInstance, { max, windowMs }: { max: number; windowMs: number }) => {
    const limit = app.createLimit({ max, windowMs, keyOf: (request) => `caller:${request.caller.id}` })
    app.decorateRequest('callerCount', undefined)

    app.addHook('onRequest', async (request) => {
      const count = await limit(request)
      if (count.isAllowed) return
      request.callerCount = count
      if (count.isExceeded) throw rateLimited('The caller has exceeded its limit of calls', count.ttlInSeconds)
    })
  },
  { name: 'caller-limit', dependencies: ['auth', 'rate-limit-counters'] }
)
