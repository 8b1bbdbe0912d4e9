import type { FastifyReply, FastifyRequest } from 'fastify'
import { type CallContext, createCallRecord } from '../highlevel/call.ts'
import { createWriteState } from '../highlevel/write-outcome.ts'
import type { CallTarget } from '../observability/request-log.ts'
import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'

export interface CallOptions {
  /** How many calls are in flight. */
  inFlight: { calls: number }
  /** The longest deadline; a caller can ask for a shorter one. */
  deadlineMs: number
  /** The latest time for an answer, on the monotonic clock: the process may be shutting down. */
  shutdownDeadline: () => number
  clock: Clock
}

/** Calls in flight in one process, including those that wait for quota. */
const MAX_CALLS = 2_500

const tooManyCalls = () =>
  new Problem('overloaded', 'This process has too many calls in flight', { retryAfterSeconds: 1 })

/**
 * Sets the deadline of calls that may reach HighLevel, counts them, and makes sure that each is logged. Every `begin`
 * that returns needs an `end`.
 */
export function createCallContexts({ inFlight, deadlineMs, shutdownDeadline, clock }: CallOptions) {
  return {
    /** Throws a Problem if too many calls are in flight; then `end` is not needed. */
    begin(request: FastifyRequest, reply: FastifyReply, target: CallTarget): CallContext {
      const callRecord = createCallRecord()
      const write = createWriteState()
      request.call = { target, callRecord, write }
      const requestedMs = Number(request.headers['x-request-timeout-ms'] ?? deadlineMs)
      // Counted from the arrival of the call, so authentication and validation use up its time too.
      const startedAt = clock.monotonic() - reply.elapsedTime
      const deadlineAt = Math.min(startedAt + Math.min(requestedMs, deadlineMs), shutdownDeadline())
      if (inFlight.calls >= MAX_CALLS) throw tooManyCalls()
      inFlight.calls += 1
      return { deadlineAt, callRecord, write, caller: { id: request.caller.id, response: reply.raw } }
    },

    end(request: FastifyRequest, reply: FastifyReply): void {
      inFlight.calls -= 1
      // If the caller hangs up now, the response may never finish. Without this, the call would not be logged.
      reply.raw.on('close', () => {
        if (!request.isLogged) request.server.logHangUp(request, reply)
      })
    }
  }
}
