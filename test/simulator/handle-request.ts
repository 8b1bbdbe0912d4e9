import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answer } from './answers.ts'
import type { ReceivedRequest } from './journal.ts'
import { describeTokenCall, TOKEN_PATH } from './oauth.ts'
import { routeRequest } from './routes.ts'
import { injectFault, sendAnswer } from './send-answer.ts'
import type { World } from './world.ts'

/** Reads a whole request, then calls `then`. Does not call it if the request is aborted. */
export function readRequest(
  incoming: IncomingMessage,
  now: () => number,
  then: (request: ReceivedRequest) => void
): void {
  const chunks: Buffer[] = []
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
  incoming.on('end', () => {
    const { method = '', url = '/', headers } = incoming
    const queryAt = url.indexOf('?')
    const path = queryAt === -1 ? url : url.slice(0, queryAt)
    const query = queryAt === -1 ? {} : Object.fromEntries(new URLSearchParams(url.slice(queryAt)))
    then({ method, path, query, headers, body: Buffer.concat(chunks).toString(), at: now() })
  })
}

/** Handles an API request: records it, then executes it or applies the next fault. */
export function handleRequest(world: World, request: ReceivedRequest, response: ServerResponse): void {
  world.journal.add(request)
  const tokenCall = request.path === TOKEN_PATH ? describeTokenCall(world, request) : undefined
  const fault = world.faults.take(request.method, request.path)
  let answer: Answer | undefined
  const execute = () => {
    answer = routeRequest(world, request)
    return answer
  }

  if (fault === undefined) sendAnswer(response, execute())
  else injectFault(response, execute, fault)
  if (tokenCall === undefined) return
  const status = answer?.status ?? (response.headersSent ? response.statusCode : 0)
  world.journal.tokenCalls.push({ ...tokenCall, status })
}
