import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { credentialHash } from '../grants/vault/credential-hash.ts'
import { withDeadline } from '../highlevel/deadline.ts'
import { Problem } from '../problems/problem.ts'
import type { Caller } from './caller.ts'
import type { Callers } from './callers.ts'
import type { FailureLimit } from './rate-limit.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before anything else of a guarded route runs. */
    caller: Caller
  }
}

const credentialOf = (request: FastifyRequest): string | undefined =>
  /^Bearer +([\x21-\x7e]{1,8192})$/i.exec(request.headers.authorization ?? '')?.[1]

const unauthenticated = (detail: string, error?: string, reason?: string) =>
  new Problem('unauthenticated', detail, {
    reason,
    headers: { 'www-authenticate': `Bearer realm="records-gateway"${error === undefined ? '' : `, error="${error}"`}` }
  })

interface Options {
  callers: Callers
  failures: FailureLimit
  /** The longest that a call may take. */
  deadlineMs: number
}

/**
 * Guards every route of the scope it is registered in, before a body is read. Public routes stand outside that scope.
 * Failures are limited by address, but a credential is always looked at first: other callers may share the address, and
 * must not be locked out by one that guesses.
 */
export default fp(
  async (app: FastifyInstance, { callers, failures, deadlineMs }: Options) => {
    const refuse = async (request: FastifyRequest, problem: Problem): Promise<never> => {
      await failures.count(request)
      throw problem
    }

    const identify = async (request: FastifyRequest, credential: string, digest: string): Promise<Caller> => {
      const wantedMs = Number(request.headers['x-request-timeout-ms'])
      const deadlineAt = performance.now() + (wantedMs > 0 ? Math.min(wantedMs, deadlineMs) : deadlineMs)
      let reason: string | undefined
      const identified = callers.identify(credential, digest, (why) => {
        reason = why
      })
      const caller = await withDeadline(deadlineAt, identified, () => callers.late(credential))
      const detail = 'This API key or token is unknown, revoked or expired'
      return caller ?? refuse(request, unauthenticated(detail, 'invalid_token', reason))
    }

    app.decorateRequest('caller')
    app.addHook('onRequest', (request, _, done) => {
      const enter = (caller: Caller) => {
        request.caller = caller
        done()
      }
      const credential = credentialOf(request)
      const digest = credential === undefined ? '' : credentialHash(credential)
      const held = callers.recall(digest)
      // Most calls pass here, without a promise.
      if (held !== undefined) enter(held)
      else if (credential === undefined)
        refuse(request, unauthenticated('Send Authorization: Bearer with an API key or a token')).catch(done)
      else identify(request, credential, digest).then(enter, done)
    })
  },
  { name: 'auth' }
)
