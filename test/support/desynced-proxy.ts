import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** The bytes of a response on a keep-alive connection. */
export const responseBytes = (status: number, body: object): string => {
  const text = JSON.stringify(body)
  return `HTTP/1.1 ${status} OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
}

/** Parses the first request in `text`; `undefined` while it is incomplete. */
function parseRequest(text: string): { head: string; body: string; rest: string } | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const length = Number(/^content-length: (\d+)/im.exec(text.slice(0, end))?.[1] ?? 0)
  const from = end + 4
  if (text.length < from + length) return undefined
  return { head: text.slice(0, end), body: text.slice(from, from + length), rest: text.slice(from + length) }
}

/**
 * A proxy that forwards everything, and can inject one surplus response. From then on its connection is out of sync:
 * each call on it receives the response to the call before.
 */
export async function startDesyncedProxy(t: Test, origin: string) {
  const sockets = new Set<Socket>()
  let inject: ((method: string) => string | undefined) | undefined
  const delayed = new Map<Socket, string>()

  const forward = async (head: string, body: string): Promise<string> => {
    const [line = '', ...fields] = head.split('\r\n')
    const [method = '', path = ''] = line.split(' ')
    const headers = fields
      .map((field): [string, string] => [
        field.slice(0, field.indexOf(':')),
        field.slice(field.indexOf(':') + 1).trim()
      ])
      .filter(([name]) => !/^(host|connection|content-length)$/i.test(name))
    const response = await fetch(origin + path, { method, headers, ...(body !== '' && { body }) })
    return responseBytes(response.status, (await response.json()) as object)
  }
  const answer = async (socket: Socket, head: string, body: string) => {
    const own = await forward(head, body)
    const surplus = delayed.get(socket) ?? inject?.(head.slice(0, head.indexOf(' ')))
    if (surplus === undefined) return void socket.write(own)
    // The real response is sent to the next call, which could take it for its own.
    delayed.set(socket, own)
    socket.write(surplus)
  }
  const server = createServer((socket) => {
    sockets.add(socket)
    let text = ''
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    socket.setEncoding('latin1').on('data', (chunk) => {
      text += chunk
      for (let request = parseRequest(text); request !== undefined; request = parseRequest(text)) {
        text = request.rest
        void answer(socket, request.head, request.body)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** The next request with the method `wanted` receives these bytes instead of its response. */
    injectOnce(wanted: string, bytes: string): void {
      inject = (method) => {
        if (method !== wanted) return undefined
        inject = undefined
        return bytes
      }
    },
    connections: () => sockets.size
  }
}
