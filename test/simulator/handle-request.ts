import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answer } from './answers.ts'
import type { ReceivedRequest } from './journal.ts'
import { describeTokenCall, TOKEN_PATH } from './oauth.ts'
import { routeRequest } from './routes.ts'
import { injectFault, sendAnswer } from './send-answer.ts'
import type { World } from './world.ts'

/** Reads a request to its end. One that breaks off never gets to `then`. */
export function readRequest(
  incoming: IncomingMessage,
  now: () => number,
  then: (request: ReceivedRequest) => void
): void {
  const chunks: Buffer[] = []
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
  incoming.on('end', () => {
    const { method = '', url = '/', headers } = incoming
    const cut = url.indexOf('?')
    const path = cut === -1 ? url : url.slice(0, cut)
    const query = cut === -1 ? {} : Object.fromEntries(new URLSearchParams(url.slice(cut)))
    then({ method, path, query, headers, body: Buffer.concat(chunks).toString(), at: now() })
  })
}

/** One API request from arrival to answer: noted, met by a fault or carried out. */
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
