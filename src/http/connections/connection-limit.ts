import { randomUUID } from 'node:crypto'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { BaseLogger } from 'pino'
import { Problem } from '../../problems/problem.ts'
import type { Clock } from '../../shared/clock.ts'
import { formatAnswer } from './client-errors.ts'

/** Connections that may receive a rejection at the same time; further ones are closed without an answer. */
export const MAX_REJECTING = 16
/** Time for the request to arrive and the answer to be read. */
export const REJECTION_MS = 1_000
const RETRY_AFTER_SECONDS = 1
/** At most one log line in this time. */
const LOG_EVERY_MS = 10_000

/**
 * Limits `server` to `max` open connections. A further connection gets `overloaded` as the answer to its first request,
 * which no other code sees, and is closed. Node's `maxConnections` would close it without an answer, and would count
 * the connections being rejected. Open connections are never closed to make room, not even idle ones: their client may
 * just be sending a request.
 */
export function limitConnections(server: Server, max: number, log: BaseLogger, clock: Clock): void {
  const acceptListeners = server.listeners('connection') as ((socket: Socket) => void)[]
  let openCount = 0
  let rejectingCount = 0
  let refused = 0
  let loggedAt = Number.NEGATIVE_INFINITY

  const logRejection = () => {
    refused += 1
    const at = clock.monotonic()
    if (at - loggedAt < LOG_EVERY_MS) return
    log.warn({ refused, max }, 'connections are refused: the limit of open files leaves no room for more')
    loggedAt = at
    refused = 0
  }

  const reject = (socket: Socket) => {
    logRejection()
    if (rejectingCount >= MAX_REJECTING) return void socket.destroy()
    rejectingCount += 1
    const timer = clock.after(REJECTION_MS, () => socket.destroy())
    socket.once('close', () => {
      rejectingCount -= 1
      clock.cancel(timer)
    })
    socket.on('error', () => socket.destroy())
    // Wait for the request: clients treat an unrequested answer as an error.
    socket.once('data', () => {
      const problem = new Problem('overloaded', 'This process has reached its connection limit', {
        retryAfterSeconds: RETRY_AFTER_SECONDS
      })
      // Keep reading: closing with unread bytes would reset the connection, and the client would lose the answer.
      socket.end(formatAnswer(problem, randomUUID()))
    })
  }

  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    if (openCount >= max) return reject(socket)
    openCount += 1
    socket.once('close', () => {
      openCount -= 1
    })
    for (const listener of acceptListeners) listener.call(server, socket)
  })
}
