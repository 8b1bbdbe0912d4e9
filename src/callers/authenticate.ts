import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { credentialHash } from '../grants/vault/credential-hash.ts'
import { withDeadline } from '../highlevel/deadline.ts'
import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import type { Caller } from './caller.ts'
import type { Callers } from './identify-caller.ts'
import type { FailureLimit } from './rate-limit.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before any other hook of a guarded route runs. */
    caller: Caller
  }
}

const readCredential = (request: FastifyRequest): string | undefined =>
  /^Bearer +([\x21-\x7e]{1,8192})$/i.exec(request.headers.authorization ?? '')?.[1]

const unauthenticated = (detail: string, error?: string, reason?: string) =>
  new Problem('unauthenticated', detail, {
    reason,
    headers: { 'www-authenticate': `Bearer realm="records-gateway"${error === undefined ? '' : `, error="${error}"`}` }
  })

interface Options {
  callers: Callers
  failureLimit: FailureLimit
  clock: Clock
  /** The longest deadline of a call. */
  deadlineMs: number
}

/**
 * Authenticates every call of the scope it is registered in, before the body is read. Public routes are outside that
 * scope. Failures are limited per address, but the credential is always checked first: one caller that guesses must not
 * lock out others behind the same address.
 */
export default fp(
  async (app: FastifyInstance, { callers, failureLimit, clock, deadlineMs }: Options) => {
    const reject = async (request: FastifyRequest, problem: Problem): Promise<never> => {
      await failureLimit.count(request)
      throw problem
    }

    const identify = async (request: FastifyRequest, credential: string, digest: string): Promise<Caller> => {
      const requestedMs = Number(request.headers['x-request-timeout-ms'])
      const deadlineAt = clock.monotonic() + (requestedMs > 0 ? Math.min(requestedMs, deadlineMs) : deadlineMs)
      let reason: string | undefined
      const identified = callers.identify(credential, digest, (why) => {
        reason = why
      })
      const caller = await withDeadline(clock, deadlineAt, identified, () => callers.lookupTimeoutProblem(credential))
      const detail = 'The API key or JWT is unknown, revoked or expired'
      return caller ?? reject(request, unauthenticated(detail, 'invalid_token', reason))
    }

    app.decorateRequest('caller')
    app.addHook('onRequest', (request, _, done) => {
      const accept = (caller: Caller) => {
        request.caller = caller
        done()
      }
      const credential = readCredential(request)
      const digest = credential === undefined ? '' : credentialHash(credential)
      const cached = callers.findCached(digest)
      // Most calls take this path, without a promise.
      if (cached !== undefined) accept(cached)
      else if (credential === undefined)
        reject(request, unauthenticated('The request has no valid Authorization: Bearer header')).catch(done)
      else identify(request, credential, digest).then(accept, done)
    })
  },
  { name: 'auth' }
)
