import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Log } from '../observability/log.ts'
import { buildAdminServer } from './admin-server.ts'
import type { Config } from './config.ts'
import { openContainer } from './container.ts'
import { buildPublicServer } from './public-server.ts'

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

/**
 * Shares of the grace time. First the listeners stay open, while whoever routes by `/readyz` finds out. Then calls under
 * way have until the second to be answered, and those that are not are told so; the third ends connections on which a
 * request never came.
 */
const LINGER = 0.2
const ANSWER_BY = 0.85
const CUT_AT = 0.95
/** Longer than probes are apart. Where nobody asks, nobody needs time to find out. */
const FOLLOWED_MS = 60_000

export interface Gateway {
  /** Where the listeners can be reached, such as `http://127.0.0.1:3000`. */
  origin: string
  adminOrigin: string
  vault: Awaited<ReturnType<typeof openContainer>>['vault']
  /** Fails readiness, lets the calls under way end, saves what is unsaved, closes the store. */
  close(): Promise<void>
}

/** Opens everything that `config` names and listens. Throws before a listener is open, or closes what it opened. */
export async function startGateway(
  config: Config,
  { log, writeLine }: Pick<Log, 'log' | 'writeLine'>,
  now: () => number = Date.now
): Promise<Gateway> {
  const graceMs = config.shutdownGraceMs
  let drainingSince: number | undefined
  let askedAt = Number.NEGATIVE_INFINITY
  const parts = await openContainer(config, log, now)
  const options = {
    config,
    parts,
    log,
    writeLine,
    now,
    isDraining: () => drainingSince !== undefined,
    lastAnswerAt: () => (drainingSince === undefined ? Number.POSITIVE_INFINITY : drainingSince + graceMs * ANSWER_BY),
    onReadinessAsked: () => {
      askedAt = performance.now()
    }
  }
  const listeners: FastifyInstance[] = []

  const close = async () => {
    const startedAt = performance.now()
    drainingSince = startedAt
    parts.drain()
    const answer = setTimeout(() => void parts.cut(), graceMs * ANSWER_BY)
    // A connection in the middle of a request that never comes would keep its listener open past the grace time, and
    // with it everything that is still to be saved.
    const cut = setTimeout(() => {
      for (const { server } of listeners) server.closeAllConnections()
    }, graceMs * CUT_AT)
    if (startedAt - askedAt < FOLLOWED_MS) await sleep(graceMs * LINGER)
    await Promise.all(listeners.map((listener) => listener.close()))
    clearTimeout(answer)
    clearTimeout(cut)
    await parts.close(Math.max(0, startedAt + graceMs - performance.now()))
  }

  try {
    const [app, admin] = [await buildPublicServer(options), await buildAdminServer(options)]
    listeners.push(app, admin)
    const adminOrigin = await listen(admin, config.adminServer.host, config.adminServer.port, 'ADMIN_PORT')
    const origin = await listen(app, config.publicServer.host, config.publicServer.port, 'PORT')
    return { origin, adminOrigin, vault: parts.vault, close }
  } catch (error) {
    await close()
    throw error
  }
}
