import { type Dispatcher, errors } from 'undici'
import { Problem } from '../problems/problem.ts'
import type { Answer, Call, Send } from './call.ts'
import type { AnswerHandler, ConnectionPool } from './connection-pool.ts'
import { type Applied, appliedAfter, markSent } from './write-outcome.ts'

/** The longest answer that is read. HighLevel's records and schemas stay far below. */
const MAX_ANSWER_BYTES = 2 * 1024 * 1024

/** What is the same for every call of HighLevel. */
export interface Wire {
  /** With a path, where there is one. */
  origin: string
  /** `Version` header. */
  apiVersion: string
  userAgent: string
}

/** Why no answer came, in the caller's terms. A call that was on the wire may have been carried out. */
function connectionProblem(error: Error, sent: boolean, answered: boolean, applied: Applied): Problem {
  if (error instanceof Problem) return error
  if (error instanceof errors.ClientDestroyedError || error instanceof errors.ClientClosedError) {
    return new Problem('shutting-down', 'This process ended before HighLevel’s answer', {
      applied,
      retryAfterSeconds: 1,
      cause: error
    })
  }
  if (answered || error instanceof errors.HTTPParserError) {
    return new Problem('upstream-unreadable', 'HighLevel’s answer broke off', { applied, cause: error })
  }
  const detail = sent
    ? 'The connection to HighLevel broke before its answer'
    : 'No connection to HighLevel could be made'
  return new Problem('upstream-failed', detail, { applied, cause: error })
}

/**
 * Sends a call once and collects the whole answer, whatever its status. One timer bounds all of it: waiting for a
 * socket, sending and reading. `timeoutMs` bounds the attempt, the call's own deadline the rest.
 *
 * undici's `dispatch` is used in place of `request`, since the body is wanted whole: there is no use for a Readable
 * around each answer. An answer that belongs to another call is told of, and its connection ended.
 */
export function createTransport(
  sockets: ConnectionPool,
  { origin, apiVersion, userAgent }: Wire,
  timeoutMs: number,
  onMismatchedAnswer: (path: string) => void
): Send {
  const base = new URL(origin).pathname.replace(/\/$/, '')
  const fixed = ['accept', 'application/json', 'user-agent', userAgent, 'version', apiVersion]

  return (call) =>
    new Promise<Answer>((resolve, reject) => {
      call.isSent = false
      const leftMs = call.deadlineAt - performance.now()
      if (leftMs <= 0) return reject(new Problem('deadline-exceeded', 'No time was left to call HighLevel'))

      const headers = [...fixed]
      if (call.authorization !== undefined) headers.push('authorization', call.authorization)
      if (call.body !== undefined) headers.push('content-type', call.contentType ?? 'application/json')
      const options = { path: base + call.path, method: call.method, headers, body: call.body ?? null }
      sockets.dispatch(
        options,
        collect(call, Math.min(leftMs, timeoutMs), leftMs <= timeoutMs, onMismatchedAnswer, resolve, reject)
      )
    })
}

function collect(
  call: Call,
  budgetMs: number,
  isDeadline: boolean,
  onMismatchedAnswer: (path: string) => void,
  resolve: (answer: Answer) => void,
  reject: (problem: Problem) => void
): AnswerHandler {
  const startedAt = performance.now()
  const chunks: Buffer[] = []
  let size = 0
  let status = 0
  let headers: Answer['headers'] = {}
  let controller: Dispatcher.DispatchController | undefined
  let expired: Problem | undefined

  let isSettled = false

  // A process that was paused finds both its timers and its sockets due, timers first: an answer that has arrived is read
  // before the time is called over.
  const timer = setTimeout(() => setImmediate(expire), budgetMs)

  const expire = () => {
    if (isSettled) return
    expired = isDeadline
      ? new Problem('deadline-exceeded', 'The time of the call ended before HighLevel’s answer', {
          applied: appliedAfter(call)
        })
      : new Problem('upstream-timeout', `HighLevel did not answer within ${budgetMs} ms`, {
          applied: appliedAfter(call)
        })
    settle()
    reject(expired)
    controller?.abort(expired)
  }

  const settle = () => {
    isSettled = true
    clearTimeout(timer)
    call.callRecord.upstreamMs += performance.now() - startedAt
  }

  return {
    endConnection: () => undefined,

    // undici calls this when the request goes on the wire, not before.
    onRequestStart(started) {
      // Too late: the call waited for a socket until its time was over. Nothing of it may be sent now.
      if (expired !== undefined) return started.abort(expired)
      controller = started
      call.callRecord.attempts += 1
      markSent(call)
      call.onSent?.()
    },
    onResponseStart(_, statusCode, responseHeaders) {
      status = statusCode
      headers = responseHeaders
    },
    onResponseData(responding, chunk) {
      size += chunk.length
      if (size <= MAX_ANSWER_BYTES) chunks.push(chunk)
      else
        responding.abort(
          new Problem('upstream-unreadable', 'HighLevel’s answer is longer than 2 MiB', { applied: appliedAfter(call) })
        )
    },
    onResponseEnd() {
      settle()
      call.callRecord.upstreamStatus = status
      const body = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, size)
      const answer: Answer = { status, headers, body, read: undefined }
      if (call.isMismatched?.(answer) !== true) return resolve(answer)
      // The connection is out of step: what comes next on it would be another call's too.
      this.endConnection()
      onMismatchedAnswer(call.path)
      reject(
        new Problem('upstream-unreadable', 'HighLevel’s answer belongs to another call', {
          upstream: { status },
          applied: appliedAfter(call)
        })
      )
    },
    onResponseError(_, error) {
      if (expired !== undefined) return
      settle()
      if (status !== 0) call.callRecord.upstreamStatus = status
      reject(connectionProblem(error, call.isSent, status !== 0, appliedAfter(call)))
    }
  }
}
