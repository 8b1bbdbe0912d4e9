import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** `cut`: connections are reset, new ones refused. `hang`: they stay open and pass no data, as behind a dead switch. */
export type Mode = 'pass' | 'cut' | 'hang'

/** A TCP proxy that a test can cut or stall. `accepts` limits how many connections it accepts in total. */
export async function startProxy(t: Test, target: { host: string; port: number; accepts?: number }) {
  const sockets = new Set<Socket>()
  let mode: Mode = 'pass'
  let accepted = 0

  const track = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
  }
  const server = createServer((client) => {
    track(client)
    accepted += 1
    if (mode === 'cut' || accepted > (target.accepts ?? accepted)) return void client.resetAndDestroy()
    if (mode === 'hang') return
    const upstream = connect(target.port, target.host)
    track(upstream)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client]
    ] as const) {
      from.on('data', (chunk) => void (mode === 'pass' && to.write(chunk)))
      from.on('close', () => to.destroy())
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    set(next: Mode): void {
      mode = next
      if (mode === 'cut') for (const socket of sockets) socket.resetAndDestroy()
    }
  }
}
