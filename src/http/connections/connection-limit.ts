import { randomUUID } from 'node:crypto'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { BaseLogger } from 'pino'
import { Problem } from '../../problems/problem.ts'
import { rawAnswer } from './client-errors.ts'

/** Connections at a time that are told that there is no room; further ones are closed without a word. */
const MAX_REFUSING = 16
/** Time for the request to come and for the answer to be read. */
const REFUSAL_MS = 1_000
const RETRY_AFTER_SECONDS = 1
/** One log line this often. */
const LOG_EVERY_MS = 10_000

/**
 * Lets `server` hold `max` connections. A further one gets `overloaded` for its first request, which nothing else of the
 * service sees, and is closed. Node's own `maxConnections` would close it without an answer, and count those too that
 * this keeps open for their answer. Kept connections stay, idle ones as well: one that is closed from this side may just
 * be in use.
 */
export function limitConnections(server: Server, max: number, log: BaseLogger): void {
  const accept = server.listeners('connection') as ((socket: Socket) => void)[]
  let held = 0
  let refusing = 0
  let refused = 0
  let loggedAt = Number.NEGATIVE_INFINITY

  const noteRefusal = () => {
    refused += 1
    const at = performance.now()
    if (at - loggedAt < LOG_EVERY_MS) return
    log.warn({ refused, max }, 'connections are refused: as many are open as the limit of open files leaves room for')
    loggedAt = at
    refused = 0
  }

  const refuse = (socket: Socket) => {
    noteRefusal()
    if (refusing >= MAX_REFUSING) return void socket.destroy()
    refusing += 1
    const timer = setTimeout(() => socket.destroy(), REFUSAL_MS)
    socket.once('close', () => {
      refusing -= 1
      clearTimeout(timer)
    })
    socket.on('error', () => socket.destroy())
    // Not before the request: a client takes an answer to nothing for a fault.
    socket.once('data', () => {
      const problem = new Problem('overloaded', 'This process holds as many connections as it can', {
        retryAfterSeconds: RETRY_AFTER_SECONDS
      })
      // What else comes is read and dropped: closed over unread bytes, the connection would be reset and the answer lost.
      socket.end(rawAnswer(problem, randomUUID()))
    })
  }

  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    if (held >= max) return refuse(socket)
    held += 1
    socket.once('close', () => {
      held -= 1
    })
    for (const listener of accept) listener.call(server, socket)
  })
}
