import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** Returns the reply to send instead of Redis' own, in RESP; `undefined` lets Redis reply. */
export type Rewrite = (command: readonly string[]) => string | undefined

interface ParsedValue {
  value: unknown
  end: number
}

/** Parses the RESP 3 value that begins at `at`; `undefined` while it is incomplete. */
function parseValue(text: string, at: number): ParsedValue | undefined {
  const lineEnd = text.indexOf('\r\n', at)
  if (lineEnd === -1) return undefined
  const line = text.slice(at + 1, lineEnd)
  const next = lineEnd + 2
  if (text[at] === '$' || text[at] === '=') {
    const length = Number(line)
    if (length === -1) return { value: null, end: next }
    const end = next + length + 2
    return end > text.length ? undefined : { value: text.slice(next, end - 2), end }
  }
  const size = { '*': 1, '~': 1, '>': 1, '%': 2 }[text[at] ?? '']
  if (size === undefined) return { value: line, end: next }
  const readValues: unknown[] = []
  let end = next
  for (let n = 0; n < Number(line) * size; n += 1) {
    const one = parseValue(text, end)
    if (one === undefined) return undefined
    readValues.push(one.value)
    end = one.end
  }
  return { value: readValues, end }
}

/** Yields the values that arrive on a socket, each with its bytes. */
async function* values(socket: Socket): AsyncGenerator<{ value: unknown; raw: string }> {
  let text = ''
  socket.setEncoding('latin1')
  for await (const chunk of socket) {
    text += String(chunk)
    for (let one = parseValue(text, 0); one !== undefined; one = parseValue(text, 0)) {
      yield { value: one.value, raw: text.slice(0, one.end) }
      text = text.slice(one.end)
    }
  }
}

/** A proxy to Redis that lets a test reply to some commands. Handles one command at a time. */
export async function startRedisProxy(t: Test, target: { host: string; port: number }) {
  const sockets = new Set<Socket>()
  let rewrite: Rewrite = () => undefined

  const track = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
  }
  const serve = async (client: Socket) => {
    const upstream = connect(target.port, target.host)
    track(client)
    track(upstream)
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
    const answers = values(upstream)
    for await (const { value, raw } of values(client)) {
      const rewritten = rewrite(value as string[])
      if (rewritten === undefined) upstream.write(raw, 'latin1')
      client.write(rewritten ?? (await answers.next()).value?.raw ?? '', 'latin1')
    }
  }
  const server = createServer((client) => void serve(client).catch(() => client.destroy()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    set(next: Rewrite): void {
      rewrite = next
    }
  }
}
