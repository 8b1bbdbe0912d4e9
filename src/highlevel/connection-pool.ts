import { type buildConnector, Client, type Dispatcher, Pool } from 'undici'
import type { Clock } from '../shared/clock.ts'

/** The longest life of a connection: a new connection resolves HighLevel's host name again. */
export const CONNECTION_LIFE_MS = 60_000

/** Reads one answer, and can end the connection that delivers it. */
export interface AnswerHandler extends Dispatcher.DispatchHandler {
  /** Set at dispatch. It may be called in `onResponseEnd`: the connection carries no other call yet. */
  endConnection: () => void
}

type Connect = buildConnector.connector

/**
 * One connection of a pool. undici keeps a connection whose answer was read to the end, and its handler cannot abort
 * any more. So each handler gets a function that ends the connection of its call.
 */
function openConnection(origin: URL, options: Client.Options & { connect: Connect }): Client {
  let end = () => undefined as unknown
  const connect: Connect = (target, done) =>
    options.connect(target, (...made) => {
      const [, socket] = made
      if (socket !== null) end = () => socket.destroy()
      done(...made)
    })
  const client = new Client(origin, { ...options, connect })
  const endConnection = () => void end()
  const { dispatch } = client
  client.dispatch = (call, handler) => {
    // `ConnectionPool` is the only way to this pool, so every handler is an AnswerHandler.
    ;(handler as AnswerHandler).endConnection = endConnection
    return dispatch.call(client, call, handler)
  }
  return client
}

export interface ConnectionPool {
  dispatch(call: Dispatcher.DispatchOptions, handler: AnswerHandler): boolean
  /** Ends calls in flight too. */
  destroy(): Promise<void>
}

/**
 * Opens at most `connections` connections to HighLevel; further calls wait for one. HTTP/1.1 with keep-alive; without
 * `keepAlive` each call has its own connection. undici's time-outs are off, since each call has its own.
 *
 * Every minute new calls get new connections, and calls in flight keep theirs. undici's `clientTtl` is not used: it
 * reads the clock for each busy connection with each call.
 */
export function openConnectionPool(
  url: string,
  connections: number,
  clock: Clock,
  { keepAlive = true } = {}
): ConnectionPool {
  const open = () =>
    new Pool(new URL(url).origin, {
      connections,
      pipelining: keepAlive ? 1 : 0,
      allowH2: false,
      factory: (to, options) => openConnection(to, options as Parameters<typeof openConnection>[1]),
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: 5_000 }
    })
  let pool = open()
  const retired = new Set<Pool>()

  const retire = () => {
    const old = pool
    pool = open()
    retired.add(old)
    old.close().finally(() => retired.delete(old))
  }
  const timer = clock.every(CONNECTION_LIFE_MS, retire).unref()

  return {
    dispatch: (options, handler) => pool.dispatch(options, handler),
    async destroy() {
      clock.cancel(timer)
      await Promise.all([pool, ...retired].map((one) => one.destroy()))
    }
  }
}
