import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { BaseLogger } from 'pino'
import { Problem, problemDocument } from '../problems.ts'
import { PROBLEM_TYPE } from './errors.ts'

/** A request line longer than this meets `uri-too-long`. */
export const MAX_URI_CHARS = 4_096

/** Time for the answer to be read before the socket goes. */
const LINGER_MS = 1_000

interface ParserError extends Error {
  code?: string
  /** What the parser was reading, a Buffer; its declared type is that of a Buffer's JSON. */
  rawPacket?: unknown
}

function problemOf({ code, rawPacket }: ParserError): Problem {
  if (code === 'HPE_HEADER_OVERFLOW') {
    // The parser counts the request line as a header: which of the two was too long shows in what it was reading.
    const packet = Buffer.isBuffer(rawPacket) ? rawPacket : Buffer.alloc(0)
    const end = packet.indexOf('\n')
    const isUri = /^[A-Z]+ \//.test(packet.toString('latin1', 0, 16)) && (end === -1 || end > MAX_URI_CHARS)
    return isUri
      ? new Problem('uri-too-long', 'The URL is too long')
      : new Problem('headers-too-large', 'The headers are too large')
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Problem('invalid-request', 'The request did not arrive in time')
  return new Problem('invalid-request', 'This is not an HTTP/1.1 request')
}

/** The last answer on a connection, for what never becomes a request of the framework's. */
export function rawAnswer(problem: Problem, requestId: string): string {
  const body = JSON.stringify(problemDocument(problem, '/', requestId))
  const { retryAfterSeconds } = problem.extras
  return (
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\ncontent-type: ${PROBLEM_TYPE}\r\n` +
    `content-length: ${Buffer.byteLength(body)}\r\nx-request-id: ${requestId}\r\n` +
    `${retryAfterSeconds === undefined ? '' : `retry-after: ${retryAfterSeconds}\r\n`}connection: close\r\n\r\n${body}`
  )
}

/** Answers what Node's HTTP parser refuses, before there is a request: these too are problems with a log line. */
export const createClientErrorHandler = (log: BaseLogger) =>
  function answerClientError(error: ParserError, socket: Socket): void {
    // Bytes written now would be taken for the answer to the request that is still being served on this socket.
    const isServing = (socket as { _httpMessage?: unknown })._httpMessage != null
    if (error.code === 'ECONNRESET' || !socket.writable || isServing) return void socket.destroy()
    const problem = problemOf(error)
    const requestId = randomUUID()
    log.info({ requestId, status: problem.status, code: problem.code }, 'call')
    socket.end(rawAnswer(problem, requestId))
    // The other side may keep its half open for ever, and the end of the process would wait for it.
    setTimeout(() => socket.destroy(), LINGER_MS).unref()
  }
