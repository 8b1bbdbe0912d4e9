import type { IncomingMessage, Server, ServerResponse } from 'node:http'

/**
 * Sends `100 Continue` only when reading of the body begins. A request that its headers alone decide is rejected before
 * that, and its client need not send the body. Node would send it for every request.
 */
export function sendContinueOnRead(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    const { shouldKeepAlive } = response
    // A rejected client may still send the body, or its next request instead: the two cannot be told apart.
    response.shouldKeepAlive = false
    const read = request._read
    request._read = function readBody(size) {
      request._read = read
      if (!response.headersSent) {
        response.writeContinue()
        response.shouldKeepAlive = shouldKeepAlive
      }
      read.call(request, size)
    }
    server.emit('request', request, response)
  })
}
