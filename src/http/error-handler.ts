import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ProblemCode } from '../problems/catalog.ts'
import { Problem, type ProblemExtras, problemDocument } from '../problems/problem.ts'
import { BODY_MEDIA_TYPES } from './json-parser.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The problem sent as the answer, for the log. */
    problem: Problem | undefined
  }
}

/** Fastify's own errors, by their code. */
const frameworkProblems: Record<string, [ProblemCode, string, ProblemExtras?]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['body-too-large', 'The body exceeds the size limit'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'unsupported-media-type',
    'This route does not support the Content-Type',
    { headers: { 'accept-patch': BODY_MEDIA_TYPES.join(', ') } }
  ],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['invalid-json', 'The body is empty'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['invalid-json', 'The body is not valid JSON'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['invalid-request', 'The body length does not match Content-Length'],
  FST_ERR_MAX_PARAM_LENGTH: ['uri-too-long', 'A path segment is too long'],
  FST_ERR_BAD_URL: ['invalid-request', 'The path has invalid percent-encoding']
}

/** Maps any error to a problem. An unknown error becomes `internal`; its text goes only to the log. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  const { code, statusCode } = error as Partial<FastifyError>
  const [problemCode, detail, extras] = frameworkProblems[code ?? ''] ?? []
  if (problemCode !== undefined && detail !== undefined) return new Problem(problemCode, detail, extras)
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new Problem('invalid-request', 'The request could not be parsed', { cause: error })
  return new Problem('internal', 'The gateway failed to handle the request', { cause: error })
}

/** Problems that connecting the location solves: their document has a `connectUrl`. */
const fixedByConnecting = new Set<ProblemCode>([
  'location-not-connected',
  'location-reconnect-required',
  'location-scope-missing'
])

/** RFC 9457. */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json'

/** No route has a longer path. */
const MAX_INSTANCE_CHARS = 512

export interface SendProblemOptions {
  /** Where a person connects a location; `undefined` if the gateway has no client credentials. */
  connectUrl: string | undefined
}

export function createSendProblem({ connectUrl }: SendProblemOptions) {
  return function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: Problem): FastifyReply {
    request.problem = problem
    // Set here too: an error before routing runs no hooks.
    reply.header('x-request-id', request.id)
    const { headers, retryAfterSeconds } = problem.extras
    if (headers) reply.headers(headers)
    if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds))
    const instance = (request.url.split('?', 1)[0] ?? '').slice(0, MAX_INSTANCE_CHARS)
    const document = {
      ...problemDocument(problem, instance, request.id),
      ...(connectUrl !== undefined && fixedByConnecting.has(problem.code) && { connectUrl })
    }
    // Already serialized: Fastify must not do it again.
    return reply
      .code(problem.status)
      .header('content-type', PROBLEM_MEDIA_TYPE)
      .serializer(String)
      .send(JSON.stringify(document))
  }
}

type SendProblem = ReturnType<typeof createSendProblem>

export const routeNotFound = (request: FastifyRequest) =>
  new Problem('route-not-found', `No route for ${request.method} on this path`)

/** Answers every error of every scope, Fastify's own included. */
export default fp(
  async (app: FastifyInstance, { sendProblem }: { sendProblem: SendProblem }) => {
    app.decorateRequest('problem', undefined)
    app.setErrorHandler((error, request, reply) => sendProblem(request, reply, toProblem(error)))
    app.setNotFoundHandler((request, reply) => sendProblem(request, reply, routeNotFound(request)))
  },
  { name: 'errors' }
)
