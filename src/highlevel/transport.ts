import { type Dispatcher, errors } from 'undici'
import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import type { Answer, Call, Send } from './call.ts'
import type { AnswerHandler, ConnectionPool } from './connection-pool.ts'
import { type Applied, appliedAfter, markSent } from './write-outcome.ts'

/** The longest answer that is read. HighLevel's records and schemas are far smaller. */
const MAX_ANSWER_BYTES = 2 * 1024 * 1024

/** What is the same for every call to HighLevel. */
export interface Wire {
  /** May include a path. */
  origin: string
  /** `Version` header. */
  apiVersion: string
  userAgent: string
}

/** The problem for an error that came instead of an answer. */
function connectionProblem(error: Error, isSent: boolean, isAnswered: boolean, applied: Applied): Problem {
  if (error instanceof Problem) return error
  if (error instanceof errors.ClientDestroyedError || error instanceof errors.ClientClosedError) {
    return new Problem('shutting-down', 'This process shut down before HighLevel’s answer', {
      applied,
      retryAfterSeconds: 1,
      cause: error
    })
  }
  if (isAnswered || error instanceof errors.HTTPParserError) {
    return new Problem('upstream-unreadable', 'HighLevel’s answer broke off', { applied, cause: error })
  }
  const detail = isSent
    ? 'The connection to HighLevel broke before its answer'
    : 'No connection to HighLevel could be made'
  return new Problem('upstream-failed', detail, { applied, cause: error })
}

interface Options {
  /** Of one attempt. */
  timeoutMs: number
  clock: Clock
  /** Receives the path of a call whose answer belongs to another call. */
  onMismatchedAnswer: (path: string) => void
}

/**
 * Sends a call once and collects the complete answer, whatever its status. One timer covers waiting for a connection,
 * sending and reading: the attempt ends after `timeoutMs`, or at the call's deadline if that is sooner.
 *
 * It uses undici's `dispatch`, not `request`: the body is needed as a whole, so a Readable for each answer would be
 * wasted. When an answer belongs to another call, its connection is ended and `onMismatchedAnswer` is called.
 */
export function createTransport(
  connections: ConnectionPool,
  { origin, apiVersion, userAgent }: Wire,
  options: Options
): Send {
  const { timeoutMs, clock } = options
  const base = new URL(origin).pathname.replace(/\/$/, '')
  const commonHeaders = ['accept', 'application/json', 'user-agent', userAgent, 'version', apiVersion]

  return (call) =>
    new Promise<Answer>((resolve, reject) => {
      call.isSent = false
      const leftMs = call.deadlineAt - clock.monotonic()
      if (leftMs <= 0)
        return reject(new Problem('deadline-exceeded', 'The deadline passed before HighLevel could be called'))

      const headers = [...commonHeaders]
      if (call.authorization !== undefined) headers.push('authorization', call.authorization)
      if (call.body !== undefined) headers.push('content-type', call.contentType ?? 'application/json')
      const request = { path: base + call.path, method: call.method, headers, body: call.body ?? null }
      connections.dispatch(
        request,
        collect(call, Math.min(leftMs, timeoutMs), leftMs <= timeoutMs, options, resolve, reject)
      )
    })
}

function collect(
  call: Call,
  budgetMs: number,
  isDeadline: boolean,
  { clock, onMismatchedAnswer }: Options,
  resolve: (answer: Answer) => void,
  reject: (problem: Problem) => void
): AnswerHandler {
  const startedAt = clock.monotonic()
  const chunks: Buffer[] = []
  let size = 0
  let status = 0
  let headers: Answer['headers'] = {}
  let controller: Dispatcher.DispatchController | undefined
  let expired: Problem | undefined
  let isFinished = false

  // After a process was paused, its timers run before its sockets are read. `setImmediate` lets an answer that has
  // arrived be read first.
  const timer = clock.after(budgetMs, () => setImmediate(expire))

  const expire = () => {
    if (isFinished) return
    expired = isDeadline
      ? new Problem('deadline-exceeded', 'The deadline passed before HighLevel’s answer', {
          applied: appliedAfter(call)
        })
      : new Problem('upstream-timeout', `HighLevel did not answer within ${budgetMs} ms`, {
          applied: appliedAfter(call)
        })
    finish()
    reject(expired)
    controller?.abort(expired)
  }

  const finish = () => {
    isFinished = true
    clock.cancel(timer)
    call.callRecord.upstreamMs += clock.monotonic() - startedAt
  }

  return {
    endConnection: () => undefined,

    // undici calls this at the moment at which the request goes on the wire.
    onRequestStart(started) {
      // The call waited for a connection until its time was over: it must not be sent any more.
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
    onResponseData(response, chunk) {
      size += chunk.length
      if (size <= MAX_ANSWER_BYTES) chunks.push(chunk)
      else
        response.abort(
          new Problem('upstream-unreadable', 'HighLevel’s answer is longer than 2 MiB', { applied: appliedAfter(call) })
        )
    },
    onResponseEnd() {
      finish()
      call.callRecord.upstreamStatus = status
      const body = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, size)
      const answer: Answer = { status, headers, body, parsedBody: undefined }
      if (call.isMismatched?.(answer) !== true) return resolve(answer)
      // The connection is out of step: its next answers would belong to other calls too.
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
      finish()
      if (status !== 0) call.callRecord.upstreamStatus = status
      reject(connectionProblem(error, call.isSent, status !== 0, appliedAfter(call)))
    }
  }
}
