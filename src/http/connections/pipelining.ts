import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

const LAST_RESPONSE = Symbol('the response to the last of several pipelined requests')

interface PipelinedSocket extends Socket {
  /**
   * Unset for a request that is not pipelined: it would keep the response alive until the connection's next request.
   */
  [LAST_RESPONSE]?: ServerResponse | undefined
  /** Node's own: the response to be sent next. If none was pending, a new request finds its own response here. */
  _httpMessage?: ServerResponse | null
}

/** Node's own, without a declared type: whether the connection closes after this response. Read when it is sent. */
type ResponseWithLast = ServerResponse & { _last: boolean }

/** Whether the connection closes after this response. Known once its headers are sent, or earlier. */
const closesConnection = (response: ServerResponse): boolean =>
  !response.shouldKeepAlive ||
  (response.headersSent ? (response as ResponseWithLast)._last : response.getHeader('connection') === 'close')

/** Whether no later request has arrived on the connection: closing it would leave no request unanswered. */
export const isLastResponse = (response: ServerResponse): boolean => {
  const last = (response.req.socket as PipelinedSocket)[LAST_RESPONSE]
  return last === undefined || last === response
}

/**
 * Drops requests that arrive after one whose answer closes the connection: they could never be answered (RFC 9112,
 * 9.6). Node would process them anyway.
 */
export function dropRequestsAfterClose(server: Server): void {
  const requestListeners = server.listeners('request') as ((
    request: IncomingMessage,
    response: ServerResponse
  ) => void)[]
  server.removeAllListeners('request')
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const socket = request.socket as PipelinedSocket
    // An earlier answer has closed the connection.
    if (socket.writableEnded) return void request.resume()
    if (socket._httpMessage === response) {
      // No request is pending any more.
      if (socket[LAST_RESPONSE] !== undefined) socket[LAST_RESPONSE] = undefined
    } else {
      const before = socket[LAST_RESPONSE] ?? socket._httpMessage
      if (before && closesConnection(before)) return void request.resume()
      socket[LAST_RESPONSE] = response
    }
    for (const listener of requestListeners) listener.call(server, request, response)
  })
}
