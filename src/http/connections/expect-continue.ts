import type { IncomingMessage, Server, ServerResponse } from 'node:http'

/**
 * Says `100 Continue` when somebody begins to read the body, not before: what the head alone decides is refused without
 * it, and the body need not be sent. Node's own answer would ask for the body of every request.
 */
export function continueWhenRead(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    const { shouldKeepAlive } = response
    // Who was refused may send the body all the same, or the next request in its place: nobody can tell which.
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
