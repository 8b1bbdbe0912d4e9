import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answer } from './answers.ts'
import { deliver, inflict } from './deliver.ts'
import type { Received } from './journal.ts'
import { describeTokenCall, TOKEN_PATH } from './oauth.ts'
import { answerTo } from './routes.ts'
import type { World } from './world.ts'

/** Reads a request to its end. One that breaks off never gets to `then`. */
export function receive(incoming: IncomingMessage, now: () => number, then: (request: Received) => void): void {
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
export function exchange(world: World, request: Received, response: ServerResponse): void {
  world.journal.add(request)
  const tokenCall = request.path === TOKEN_PATH ? describeTokenCall(world, request) : undefined
  const fault = world.faults.take(request.method, request.path)
  let answer: Answer | undefined
  const carryOut = () => {
    answer = answerTo(world, request)
    return answer
  }

  if (fault === undefined) deliver(response, carryOut())
  else inflict(response, carryOut, fault)
  if (tokenCall === undefined) return
  const status = answer?.status ?? (response.headersSent ? response.statusCode : 0)
  world.journal.tokenCalls.push({ ...tokenCall, status })
}
