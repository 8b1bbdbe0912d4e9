import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** The bytes of an answer on a connection that is kept. */
export const responseBytes = (status: number, body: object): string => {
  const text = JSON.stringify(body)
  return `HTTP/1.1 ${status} OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
}

/** The head of a request and its body, once all of it has come. */
function parseRequest(text: string): { head: string; body: string; rest: string } | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const length = Number(/^content-length: (\d+)/im.exec(text.slice(0, end))?.[1] ?? 0)
  const from = end + 4
  if (text.length < from + length) return undefined
  return { head: text.slice(0, end), body: text.slice(from, from + length), rest: text.slice(from + length) }
}

/**
 * What stands before an upstream, and sends it everything. One answer too many, where `insert` gives one, puts a
 * connection out of step for good: each call on it gets the answer of the one before.
 */
export async function startDesyncedProxy(t: Test, origin: string) {
  const sockets = new Set<Socket>()
  let insert: ((method: string) => string | undefined) | undefined
  const late = new Map<Socket, string>()

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
    const surplus = late.get(socket) ?? insert?.(head.slice(0, head.indexOf(' ')))
    if (surplus === undefined) return void socket.write(own)
    // The own answer comes once it can be taken for that of another call.
    late.set(socket, own)
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
    /** The next call of the method gets these bytes in place of its answer. */
    injectOnce(wanted: string, bytes: string): void {
      insert = (method) => {
        if (method !== wanted) return undefined
        insert = undefined
        return bytes
      }
    },
    connections: () => sockets.size
  }
}
