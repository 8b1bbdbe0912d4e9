import { randomUUID } from 'node:crypto'
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { BaseLogger } from 'pino'
import { Problem, problemDocument } from '../../problems/problem.ts'
import { PROBLEM_TYPE } from '../error-handler.ts'

/** A request line longer than this meets `uri-too-long`. */
export const MAX_URI_CHARS = 4_096

/** Time for the answer to be read before the socket goes. */
const LINGER_MS = 1_000

interface ParserError extends Error {
  code?: string
  /** The parser's own words, such as `Invalid character in chunk size`: fixed texts that repeat nothing of the request. */
  reason?: string
  /** What the parser was reading, a Buffer; its declared type is that of a Buffer's JSON. */
  rawPacket?: unknown
}

/** Node's own properties of a socket: documented nowhere, and the only way to learn which request an error belongs to. */
interface HttpSocket extends Socket {
  /** The first response that is not yet sent as a whole. */
  _httpMessage?: ServerResponse | null
  /** `incoming` is the last request whose head was read, until it is read and answered. */
  parser?: { incoming: IncomingMessage | null } | null
}

const reasonOf = ({ code, reason }: ParserError) => [code, reason].filter((part) => part !== undefined).join(': ')

function problemOf(error: ParserError, isBody: boolean): Problem {
  const { code, rawPacket } = error
  const reason = reasonOf(error)
  if (code === 'HPE_HEADER_OVERFLOW' && !isBody) {
    // The parser counts the request line as a header: which of the two was too long shows in what it was reading.
    const packet = Buffer.isBuffer(rawPacket) ? rawPacket : Buffer.alloc(0)
    const end = packet.indexOf('\n')
    const isUri = /^[A-Z]+ \//.test(packet.toString('latin1', 0, 16)) && (end === -1 || end > MAX_URI_CHARS)
    return isUri
      ? new Problem('uri-too-long', 'The URL is too long', { reason })
      : new Problem('headers-too-large', 'The headers are too large', { reason })
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new Problem('invalid-request', 'The request did not arrive in time', { reason })
  if (!isBody) return new Problem('invalid-request', 'This is not an HTTP/1.1 request', { reason })
  if (code === 'HPE_INVALID_EOF_STATE') return new Problem('invalid-request', 'The body ended early', { reason })
  const detail = error.reason === undefined ? '' : `: ${error.reason}`
  return new Problem('invalid-request', `The body is not framed as HTTP/1.1 requires${detail}`, { reason })
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

/** Ends a socket; the other side may keep its half open for ever, and the end of the process would wait for it. */
function endSoon(socket: Socket): void {
  socket.end()
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}

/** Calls that are under way on the socket are answered first. */
function endAfterAnswers(socket: HttpSocket): void {
  // Node puts the next response in its place before this listener runs.
  if (socket._httpMessage) socket._httpMessage.once('finish', () => endAfterAnswers(socket))
  else endSoon(socket)
}

/** Whoever reads the body, or begins to, gets the problem in its place. One that is not read has a call that goes on. */
function failBody(request: IncomingMessage, problem: Problem): void {
  const tell = () => request.listenerCount('error') > 0 && request.emit('error', problem)
  if (!tell()) request.once('resume', tell)
}

/**
 * Answers what Node's HTTP parser refuses: these too are problems with a log line. A fault within a body is the answer
 * of the request it belongs to. Behind a request that is complete nothing more is answered: its sender might take that
 * for the answer to a later one.
 */
export function createClientErrorHandler(log: BaseLogger) {
  /** The parser refuses every further packet as well. */
  const ending = new WeakSet<Socket>()

  return function answerClientError(error: ParserError, socket: HttpSocket): void {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    if (ending.has(socket)) return
    ending.add(socket)

    const last = socket.parser?.incoming
    const pending = socket._httpMessage
    const isBody = last != null && !last.complete
    const problem = problemOf(error, isBody)
    if (!isBody && pending == null) {
      const requestId = randomUUID()
      log.info({ requestId, status: problem.status, code: problem.code, reason: problem.extras.reason }, 'call')
      socket.write(rawAnswer(problem, requestId))
    } else if (isBody) failBody(last, problem)
    else log.info({ code: problem.code, reason: problem.extras.reason }, 'what follows a request is not HTTP')
    // Said in its headers, where it is the last one.
    if (pending != null && pending.req === last) pending.shouldKeepAlive = false
    endAfterAnswers(socket)
  }
}

/** CONNECT is for proxies. Node would close the connection over it, and over the answers that are under way. */
export function answerConnect(server: Server, log: BaseLogger): void {
  server.on('connect', (_, stream) => {
    const socket: HttpSocket = stream as Socket
    // Node's own listeners are gone with the parser.
    socket.on('error', () => socket.destroy())
    socket.resume()
    if (socket._httpMessage == null) {
      const requestId = randomUUID()
      const problem = new Problem('invalid-request', 'This is no proxy: it takes no CONNECT')
      log.info({ requestId, method: 'CONNECT', status: problem.status, code: problem.code }, 'call')
      socket.write(rawAnswer(problem, requestId))
    }
    endAfterAnswers(socket)
  })
}
