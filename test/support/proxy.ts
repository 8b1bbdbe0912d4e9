import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** `cut`: connections break and new ones are refused. `hang`: they stand, and not a byte passes, as behind a dead switch. */
export type Mode = 'pass' | 'cut' | 'hang'

/** A wire to a server on this machine that a test can cut, or that takes no more than `accepts` connections in all. */
export async function startProxy(t: Test, target: { host: string; port: number; accepts?: number }) {
  const sockets = new Set<Socket>()
  let mode: Mode = 'pass'
  let accepted = 0

  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
  }
  const server = createServer((near) => {
    keep(near)
    accepted += 1
    if (mode === 'cut' || accepted > (target.accepts ?? accepted)) return void near.resetAndDestroy()
    if (mode === 'hang') return
    const far = connect(target.port, target.host)
    keep(far)
    for (const [from, to] of [
      [near, far],
      [far, near]
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
