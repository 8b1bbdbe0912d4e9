import type { FastifyReply, FastifyRequest } from 'fastify'
import { type CallContext, createCallRecord } from '../highlevel/call.ts'
import { createWriteState } from '../highlevel/write-outcome.ts'
import type { CallSubject } from '../observability/request-log.ts'
import { Problem } from '../problems/problem.ts'

export interface CallOptions {
  /** How many calls are under way. */
  inFlight: { calls: number }
  /** The longest that a call may take; a caller may ask for less. */
  deadlineMs: number
  /** Until when calls have to be answered, on the clock of `performance.now()`: the process may be about to end. */
  lastAnswerAt: () => number
}

/** Calls that a process has in hand at a time, those that wait included. */
const MAX_CALLS = 2_500

const tooMany = () =>
  new Problem('overloaded', 'This process has as many calls under way as it can take', { retryAfterSeconds: 1 })

/**
 * The bookkeeping of calls that may reach HighLevel: their deadline, how many there are, and their log line, whatever
 * becomes of them. Whoever has begun a call must end it.
 */
export function createCallContexts({ inFlight, deadlineMs, lastAnswerAt }: CallOptions) {
  return {
    /** Throws a Problem where there are too many already: that call need not be ended. */
    begin(request: FastifyRequest, reply: FastifyReply, subject: CallSubject): CallContext {
      const callRecord = createCallRecord()
      const write = createWriteState()
      request.work = { subject, callRecord, write }
      const wantedMs = Number(request.headers['x-request-timeout-ms'] ?? deadlineMs)
      // From when the call came in: what was done for it so far is a part of its time.
      const startedAt = performance.now() - reply.elapsedTime
      const deadlineAt = Math.min(startedAt + Math.min(wantedMs, deadlineMs), lastAnswerAt())
      if (inFlight.calls >= MAX_CALLS) throw tooMany()
      inFlight.calls += 1
      return { deadlineAt, callRecord, write, caller: { id: request.caller.id, response: reply.raw } }
    },

    end(request: FastifyRequest, reply: FastifyReply): void {
      inFlight.calls -= 1
      // Where the caller hangs up just now, the response may never finish, and what was written would not be logged.
      reply.raw.on('close', () => {
        if (!request.isLogged) request.server.noteHangUp(request, reply)
      })
    }
  }
}
