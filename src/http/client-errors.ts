import { randomUUID } from 'node:crypto'
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
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
  return new Problem('invalid-request', 'This is not an HTTP/1.1 request', { reason: code })
}

/** Node's own, without declared types: the response that a socket is to carry next, and the request that is being parsed. */
interface Serving extends Socket {
  _httpMessage?: ServerResponse | null
  parser?: { incoming?: IncomingMessage | null } | null
}

/** Requests whose body has met its fault: whatever else comes on the connection is reported as one more. */
const failed = new WeakSet<IncomingMessage>()

/**
 * A fault inside the body of a request that has begun: in the framing of its chunks, or the other side ended in the
 * middle. Whoever reads the body, now or later, gets it as an error, and answers as to any other fault.
 */
function failBody(request: IncomingMessage, response: ServerResponse, code: string | undefined): void {
  if (failed.has(request)) return
  failed.add(request)
  response.shouldKeepAlive = false
  const problem = new Problem('invalid-request', 'The chunks of the body cannot be read', { reason: code })
  if (request.listenerCount('error') > 0) return void request.emit('error', problem)
  request.on('newListener', function tell(event: string, listener: (error: Error) => void) {
    if (event !== 'error') return
    request.off('newListener', tell)
    queueMicrotask(() => listener(problem))
  })
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
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    const { _httpMessage: response, parser } = socket as Serving
    const request = parser?.incoming
    if (response != null && !response.headersSent) {
      // Bytes written now would be taken for the answer to this request. What came behind it is not read any more.
      if (request === response.req && !request.complete) failBody(request, response, error.code)
      else response.shouldKeepAlive = false
      return
    }
    // It has its answer, and there must not be a second one.
    if (response != null || (request != null && !request.complete)) return void socket.destroy()
    const problem = problemOf(error)
    const requestId = randomUUID()
    const { status, code, extras } = problem
    log.info({ requestId, status, code, reason: extras.reason }, 'call')
    socket.end(rawAnswer(problem, requestId))
    // The other side may keep its half open for ever, and the end of the process would wait for it.
    setTimeout(() => socket.destroy(), LINGER_MS).unref()
  }
