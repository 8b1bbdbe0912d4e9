import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ProblemCode } from '../problems/catalog.ts'
import { Problem, type ProblemExtras, problemDocument } from '../problems/problem.ts'
import { BODY_TYPES } from './json-parser.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The problem that the request was answered with, for the log. */
    problem: Problem | undefined
  }
}

/** Fastify's own errors in the terms of the catalogue. */
const frameworkProblems: Record<string, [ProblemCode, string, ProblemExtras?]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['body-too-large', 'The body is longer than this gateway takes'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'unsupported-media-type',
    'The Content-Type is not one that this route takes',
    { headers: { 'accept-patch': BODY_TYPES.join(', ') } }
  ],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['invalid-json', 'The body is empty'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['invalid-json', 'The body is not valid JSON'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['invalid-request', 'The body is not as long as Content-Length says'],
  FST_ERR_MAX_PARAM_LENGTH: ['uri-too-long', 'A part of the path is too long'],
  FST_ERR_BAD_URL: ['invalid-request', 'The path is not valid percent-encoding']
}

/** Any error in the terms of the catalogue. What is not known is `internal`, and stays in the log. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  const { code, statusCode } = error as Partial<FastifyError>
  const [known, detail, extras] = frameworkProblems[code ?? ''] ?? []
  if (known !== undefined && detail !== undefined) return new Problem(known, detail, extras)
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new Problem('invalid-request', 'The request cannot be read', { cause: error })
  return new Problem('internal', 'Something failed inside the gateway', { cause: error })
}

const connectable = new Set<ProblemCode>([
  'location-not-connected',
  'location-reconnect-required',
  'location-scope-missing'
])

/** What reads the body of an error: RFC 9457. */
export const PROBLEM_TYPE = 'application/problem+json'

/** A path that is longer is not one of ours. */
const MAX_INSTANCE_CHARS = 512

export interface ErrorOptions {
  /** Where a person connects a location; absent where the gateway has no client credentials. */
  connectUrl: string | undefined
}

export function createSendProblem({ connectUrl }: ErrorOptions) {
  return function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: Problem): FastifyReply {
    request.problem = problem
    // Set here too: what fails before routing runs no hooks.
    reply.header('x-request-id', request.id)
    const { headers, retryAfterSeconds } = problem.extras
    if (headers) reply.headers(headers)
    if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds))
    const instance = (request.url.split('?', 1)[0] ?? '').slice(0, MAX_INSTANCE_CHARS)
    const document = {
      ...problemDocument(problem, instance, request.id),
      ...(connectUrl !== undefined && connectable.has(problem.code) && { connectUrl })
    }
    // Serialised here, and passed through as it is.
    return reply
      .code(problem.status)
      .header('content-type', PROBLEM_TYPE)
      .serializer(String)
      .send(JSON.stringify(document))
  }
}

export type SendProblem = ReturnType<typeof createSendProblem>

export const noRoute = (request: FastifyRequest) =>
  new Problem('route-not-found', `There is no route for ${request.method} on this path`)

/** Every throw in every scope ends here, the framework's own included. */
export default fp(
  async (app: FastifyInstance, { sendProblem }: { sendProblem: SendProblem }) => {
    app.decorateRequest('problem', undefined)
    app.setErrorHandler((error, request, reply) => sendProblem(request, reply, toProblem(error)))
    app.setNotFoundHandler((request, reply) => sendProblem(request, reply, noRoute(request)))
  },
  { name: 'errors' }
)
