import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

const LAST = Symbol('the response to the last of several requests that a connection waits for')

interface Serving extends Socket {
  /** Not of a request alone: held until the next one, it would outlive its call on every connection. */
  [LAST]?: ServerResponse | undefined
  /** Node's own: the response that is to be sent next. A request that comes while none is has its own there. */
  _httpMessage?: ServerResponse | null
}

/** Node's own, without a declared type: the connection ends with this response. It looks at it when that is sent. */
type Ending = ServerResponse & { _last: boolean }

/** Whether the connection ends with it: decided with its head, or before. */
const closes = (response: ServerResponse): boolean =>
  !response.shouldKeepAlive ||
  (response.headersSent ? (response as Ending)._last : response.getHeader('connection') === 'close')

/** Whether no further request has come on its connection: an answer that ends it leaves nobody without one. */
export const isLast = (response: ServerResponse): boolean => {
  const last = (response.req.socket as Serving)[LAST]
  return last === undefined || last === response
}

/**
 * Keeps from the service what comes on a connection behind a request whose answer ends it: nobody would hear of what it
 * has done (RFC 9112, 9.6). Node hands it on all the same.
 */
export function dropBehindClose(server: Server): void {
  const serve = server.listeners('request') as ((request: IncomingMessage, response: ServerResponse) => void)[]
  server.removeAllListeners('request')
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const socket = request.socket as Serving
    // An answer before it has ended the connection.
    if (socket.writableEnded) return void request.resume()
    if (socket._httpMessage === response) {
      // Nothing is waited for any more.
      if (socket[LAST] !== undefined) socket[LAST] = undefined
    } else {
      const before = socket[LAST] ?? socket._httpMessage
      if (before && closes(before)) return void request.resume()
      socket[LAST] = response
    }
    for (const listener of serve) listener.call(server, request, response)
  })
}
