import { randomUUID } from 'node:crypto'
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { BaseLogger } from 'pino'
import { Problem, problemDocument } from '../../problems/problem.ts'
import type { Clock } from '../../shared/clock.ts'
import { PROBLEM_MEDIA_TYPE } from '../error-handler.ts'

/** A longer URL is rejected with `uri-too-long`. */
export const MAX_URI_CHARS = 4_096

/** Time for the client to read the answer before the socket is destroyed. */
const LINGER_MS = 1_000

interface ParserError extends Error {
  code?: string
  /** The parser's message, such as `Invalid character in chunk size`. Fixed texts: none quotes the request. */
  reason?: string
  /** The Buffer that the parser was reading. Node's types declare it as a Buffer's JSON. */
  rawPacket?: unknown
}

/** Undocumented properties of Node's sockets: the only way to learn which request an error belongs to. */
interface HttpSocket extends Socket {
  /** The first response that is not completely sent. */
  _httpMessage?: ServerResponse | null
  /** `incoming` is the last request whose headers were read, until it is completely read and answered. */
  parser?: { incoming: IncomingMessage | null } | null
}

const logReason = ({ code, reason }: ParserError) => [code, reason].filter((part) => part !== undefined).join(': ')

function toProblem(error: ParserError, isBody: boolean): Problem {
  const { code, rawPacket } = error
  const reason = logReason(error)
  if (code === 'HPE_HEADER_OVERFLOW' && !isBody) {
    // The parser counts the URL towards the header size. Its input shows which of the two was too long.
    const packet = Buffer.isBuffer(rawPacket) ? rawPacket : Buffer.alloc(0)
    const end = packet.indexOf('\n')
    const isUri = /^[A-Z]+ \//.test(packet.toString('latin1', 0, 16)) && (end === -1 || end > MAX_URI_CHARS)
    return isUri
      ? new Problem('uri-too-long', 'The URL is too long', { reason })
      : new Problem('headers-too-large', 'The headers are too large', { reason })
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new Problem('invalid-request', 'The request was not received in time', { reason })
  if (!isBody) return new Problem('invalid-request', 'The request is not valid HTTP/1.1', { reason })
  if (code === 'HPE_INVALID_EOF_STATE') return new Problem('invalid-request', 'The body ended early', { reason })
  const detail = error.reason === undefined ? '' : `: ${error.reason}`
  return new Problem('invalid-request', `The body has invalid HTTP/1.1 framing${detail}`, { reason })
}

/** Formats the last answer on a connection, for input that never becomes a Fastify request. */
export function formatAnswer(problem: Problem, requestId: string): string {
  const body = JSON.stringify(problemDocument(problem, '/', requestId))
  const { retryAfterSeconds } = problem.extras
  return (
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\ncontent-type: ${PROBLEM_MEDIA_TYPE}\r\n` +
    `content-length: ${Buffer.byteLength(body)}\r\nx-request-id: ${requestId}\r\n` +
    `${retryAfterSeconds === undefined ? '' : `retry-after: ${retryAfterSeconds}\r\n`}connection: close\r\n\r\n${body}`
  )
}

/** Ends a socket, then destroys it: the client may never close its half, and shutdown would wait for it. */
function endAndDestroy(socket: Socket, clock: Clock): void {
  socket.end()
  clock.after(LINGER_MS, () => socket.destroy()).unref()
}

/** Lets the socket's calls in flight be answered first. */
function endAfterAnswers(socket: HttpSocket, clock: Clock): void {
  // By the time this listener runs, Node has put the next response into `_httpMessage`.
  if (socket._httpMessage) socket._httpMessage.once('finish', () => endAfterAnswers(socket, clock))
  else endAndDestroy(socket, clock)
}

/**
 * Emits the problem to the reader of the body, now or when reading begins. A call that never reads it is unaffected.
 */
function failBodyRead(request: IncomingMessage, problem: Problem): void {
  const emitProblem = () => request.listenerCount('error') > 0 && request.emit('error', problem)
  if (!emitProblem()) request.once('resume', emitProblem)
}

/**
 * Answers what Node's HTTP parser rejects with a problem, and logs it. An error in a body becomes the answer to its
 * request. An error after a complete request gets no answer: the client could take it for the answer to a later
 * request.
 */
export function createClientErrorHandler(log: BaseLogger, clock: Clock) {
  /** The parser reports every further packet too: only a socket's first error counts. */
  const ending = new WeakSet<Socket>()

  return function answerClientError(error: ParserError, socket: HttpSocket): void {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    if (ending.has(socket)) return
    ending.add(socket)

    const lastRequest = socket.parser?.incoming
    const pendingResponse = socket._httpMessage
    const isBody = lastRequest != null && !lastRequest.complete
    const problem = toProblem(error, isBody)
    if (!isBody && pendingResponse == null) {
      const requestId = randomUUID()
      log.info({ requestId, status: problem.status, code: problem.code, reason: problem.extras.reason }, 'call')
      socket.write(formatAnswer(problem, requestId))
    } else if (isBody) failBodyRead(lastRequest, problem)
    else log.info({ code: problem.code, reason: problem.extras.reason }, 'invalid HTTP after a complete request')
    // Its headers then announce the close.
    if (pendingResponse != null && pendingResponse.req === lastRequest) pendingResponse.shouldKeepAlive = false
    endAfterAnswers(socket, clock)
  }
}

/** Rejects CONNECT. Node would close the connection at once, and lose the answers to calls in flight. */
export function rejectConnect(server: Server, log: BaseLogger, clock: Clock): void {
  server.on('connect', (_, stream) => {
    const socket: HttpSocket = stream as Socket
    // Node has removed its own listeners together with the parser.
    socket.on('error', () => socket.destroy())
    socket.resume()
    if (socket._httpMessage == null) {
      const requestId = randomUUID()
      const problem = new Problem('invalid-request', 'CONNECT is not supported: this server is not a proxy')
      log.info({ requestId, method: 'CONNECT', status: problem.status, code: problem.code }, 'call')
      socket.write(formatAnswer(problem, requestId))
    }
    endAfterAnswers(socket, clock)
  })
}
