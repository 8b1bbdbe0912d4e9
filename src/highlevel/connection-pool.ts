import { type buildConnector, Client, type Dispatcher, Pool } from 'undici'

/** No connection is kept for longer, or a change of HighLevel's addresses would not be noticed while it is in use. */
const CONNECTION_LIFE_MS = 60_000

/** Reads one answer, and can end the connection that brings it. */
export interface AnswerHandler extends Dispatcher.DispatchHandler {
  /** Set with the call. It may be called in `onResponseEnd`, where the connection serves no other call yet. */
  endConnection: () => void
}

type Connect = buildConnector.connector

/**
 * One connection of a pool. undici keeps a connection whose answer was read to its end, and a handler can no longer abort
 * then: so each handler is told how to end the one that carries its call.
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
    // Every handler of this pool is one: it is reached through `Sockets` alone.
    ;(handler as AnswerHandler).endConnection = endConnection
    return dispatch.call(client, call, handler)
  }
  return client
}

/** Sockets to HighLevel. */
export interface ConnectionPool {
  dispatch(call: Dispatcher.DispatchOptions, handler: AnswerHandler): boolean
  /** Ends what is under way too. */
  destroy(): Promise<void>
}

/**
 * At most so many `connections`; further calls wait for one. HTTP/1.1 with keep-alive; time-outs are the call's own, so
 * undici's are off. New calls get new connections now and then, and calls under way keep theirs. Not undici's `clientTtl`,
 * which looks at the clock for each busy connection with each call. Without `keepAlive` each call has a connection of its
 * own.
 */
export function openConnectionPool(
  url: string,
  connections: number,
  { lifeMs = CONNECTION_LIFE_MS, keepAlive = true } = {}
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
  const timer = setInterval(retire, lifeMs).unref()

  return {
    dispatch: (options, handler) => pool.dispatch(options, handler),
    async destroy() {
      clearInterval(timer)
      await Promise.all([pool, ...retired].map((one) => one.destroy()))
    }
  }
}
