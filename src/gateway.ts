import type { FastifyInstance } from 'fastify'
import { buildAdmin } from './admin.ts'
import { buildApp } from './app.ts'
import type { Config } from './config.ts'
import { openParts } from './parts.ts'
import type { Log } from './shared/log.ts'

/** A listener could not be opened. The message says what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

async function listen(app: FastifyInstance, host: string, port: number, variables: string): Promise<string> {
  try {
    return await app.listen({ host, port, listenTextResolver: () => `listening for ${variables}` })
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'EADDRINUSE') throw cause
    throw new ListenError(`Port ${port} of ${host} is taken: end the program that listens there, or set ${variables}`, {
      cause
    })
  }
}

/** The share of the grace time that calls under way have to end. */
const CUT_AT = 0.95

export interface Gateway {
  /** Where the listeners can be reached, such as `http://127.0.0.1:3000`. */
  origin: string
  adminOrigin: string
  vault: Awaited<ReturnType<typeof openParts>>['vault']
  /** Fails readiness, lets the calls under way end, saves what is unsaved, closes the store. */
  close(): Promise<void>
}

/** Opens everything that `config` names and listens. Throws before a listener is open, or closes what it opened. */
export async function startGateway(
  config: Config,
  { log, writeLine }: Pick<Log, 'log' | 'writeLine'>,
  now: () => number = Date.now
): Promise<Gateway> {
  let draining = false
  const parts = await openParts(config, log, now)
  const options = { config, parts, log, writeLine, now, isDraining: () => draining }
  const listeners: FastifyInstance[] = []

  const close = async () => {
    draining = true
    parts.drain()
    const endsAt = performance.now() + config.SHUTDOWN_GRACE_MS
    // A connection in the middle of a request that never comes would keep its listener open past the grace time, and
    // with it everything that is still to be saved.
    const cut = setTimeout(() => {
      for (const { server } of listeners) server.closeAllConnections()
    }, config.SHUTDOWN_GRACE_MS * CUT_AT)
    await Promise.all(listeners.map((listener) => listener.close()))
    clearTimeout(cut)
    await parts.close(Math.max(0, endsAt - performance.now()))
  }

  try {
    const [app, admin] = [await buildApp(options), await buildAdmin(options)]
    listeners.push(app, admin)
    const adminOrigin = await listen(admin, config.ADMIN_HOST, config.ADMIN_PORT, 'ADMIN_PORT')
    const origin = await listen(app, config.HOST, config.PORT, 'PORT')
    return { origin, adminOrigin, vault: parts.vault, close }
  } catch (error) {
    await close()
    throw error
  }
}
