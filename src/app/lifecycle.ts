import type { FastifyInstance } from 'fastify'
import type { Log } from '../observability/log.ts'
import { type Clock, systemClock } from '../shared/clock.ts'
import { buildAdminServer } from './admin-server.ts'
import type { Config } from './config.ts'
import { openContainer } from './container.ts'
import { buildPublicServer } from './public-server.ts'

/** Thrown if a listener's port is in use. The message says what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

async function listen(app: FastifyInstance, host: string, port: number, variable: string): Promise<string> {
  try {
    return await app.listen({ host, port, listenTextResolver: () => `listening for ${variable}` })
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'EADDRINUSE') throw cause
    const message = `Port ${port} on ${host} is in use: stop the process that listens on it, or set ${variable}`
    throw new ListenError(message, { cause })
  }
}

/*
 * Shutdown, in shares of the grace time:
 * - until 0.2, the listeners stay open, so that load balancers notice the failing `/readyz`;
 * - at 0.85, calls that are still in flight are aborted and answered with a problem;
 * - at 0.95, the remaining connections are closed, such as those whose request never arrived in full.
 */
const KEEP_LISTENING_SHARE = 0.2
const ANSWER_BY_SHARE = 0.85
const DISCONNECT_AT_SHARE = 0.95
/** If `/readyz` was not asked for this long, nothing routes by it, and the listeners close without that delay. */
const MAX_PROBE_INTERVAL_MS = 60_000

export interface Gateway {
  /** The address of the public listener, such as `http://127.0.0.1:3000`. */
  origin: string
  adminOrigin: string
  vault: Awaited<ReturnType<typeof openContainer>>['vault']
  /** Fails readiness, waits for calls in flight, saves pending grants and closes the vault. */
  close(): Promise<void>
}

/** Opens the container and both listeners. If a listener cannot be opened, it closes everything and throws. */
export async function startGateway(
  config: Config,
  { log, writeLine }: Pick<Log, 'log' | 'writeLine'>,
  clock: Clock = systemClock
): Promise<Gateway> {
  const graceMs = config.shutdownGraceMs
  let drainingSince: number | undefined
  let lastReadinessCheckAt = Number.NEGATIVE_INFINITY
  const container = await openContainer(config, log, clock)
  const options = {
    config,
    container,
    log,
    writeLine,
    clock,
    isDraining: () => drainingSince !== undefined,
    shutdownDeadline: () =>
      drainingSince === undefined ? Number.POSITIVE_INFINITY : drainingSince + graceMs * ANSWER_BY_SHARE,
    onReadinessCheck: () => {
      lastReadinessCheckAt = clock.monotonic()
    }
  }
  const listeners: FastifyInstance[] = []

  const close = async () => {
    const startedAt = clock.monotonic()
    drainingSince = startedAt
    container.drain()
    const abortTimer = clock.after(graceMs * ANSWER_BY_SHARE, () => void container.abortInFlight())
    // A connection whose request never arrives in full would keep its listener open past the grace time, and delay the
    // saving of grants.
    const disconnectTimer = clock.after(graceMs * DISCONNECT_AT_SHARE, () => {
      for (const { server } of listeners) server.closeAllConnections()
    })
    if (startedAt - lastReadinessCheckAt < MAX_PROBE_INTERVAL_MS) await clock.sleep(graceMs * KEEP_LISTENING_SHARE)
    await Promise.all(listeners.map((listener) => listener.close()))
    clock.cancel(abortTimer)
    clock.cancel(disconnectTimer)
    await container.close(Math.max(0, startedAt + graceMs - clock.monotonic()))
  }

  try {
    const [app, admin] = [await buildPublicServer(options), await buildAdminServer(options)]
    listeners.push(app, admin)
    const adminOrigin = await listen(admin, config.adminServer.host, config.adminServer.port, 'ADMIN_PORT')
    const origin = await listen(app, config.publicServer.host, config.publicServer.port, 'PORT')
    return { origin, adminOrigin, vault: container.vault, close }
  } catch (error) {
    await close()
    throw error
  }
}
