import { PostgresDialect } from 'kysely'
import pg from 'pg'
import type { BaseLogger } from 'pino'
import type { Database, Purpose } from './vault-sql.ts'

const CONNECTIONS = 10
/** For a connection, and for a place in the pool. */
const CONNECT_TIMEOUT_MS = 2_000
/** The server ends a statement, and with it the wait for a lock, after this long: it is then known not to have happened. */
const STATEMENT_TIMEOUT_MS = 5_000
/** A connection on which nothing comes back for longer is dead: the network between may have swallowed it without a word. */
const SILENCE_MS = 8_000
const IDLE_MS = 5_000

const INT8 = pg.types.builtins.INT8

/** Times and generations are far below 2^53. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (id, format) => (id === INT8 ? Number : pg.types.getTypeParser(id, format))
}

class SilenceError extends Error {
  override readonly name = 'SilenceError'
  readonly code = 'ETIMEDOUT'

  constructor() {
    super(`The database was silent for ${SILENCE_MS} ms`)
  }
}

/** The server ended the connection, or it is gone: idle ones are, after a restart, and only the next statement shows it. */
const hasBroken = (error: unknown): boolean => {
  const { code, message } = error as { code?: unknown; message?: unknown }
  return /^(57P0|08|ECONNRESET|EPIPE|ETIMEDOUT)/.test(String(code)) || /^Connection terminated/.test(String(message))
}

export function openPostgres(url: string, purpose: Purpose, log: Pick<BaseLogger, 'debug'> | undefined): Database {
  // A migration or a command may take as long as it takes.
  const isServing = purpose === 'serving'
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'records-gateway',
    max: CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_MS,
    ...(isServing && { statement_timeout: STATEMENT_TIMEOUT_MS }),
    keepAlive: true,
    types
  })
  // Connections break when the server restarts. What was asked on one rejects, and the pool replaces it; but without
  // listeners, for the idle ones and for those in use, the process would end.
  const broke = (err: Error) => log?.debug({ err }, 'a connection to the database broke')
  pool.on('error', broke)
  pool.on('connect', (client) => {
    client.on('error', broke)
    if (!isServing) return
    const { stream } = (client as unknown as { connection: { stream: import('node:net').Socket } }).connection
    stream.setTimeout(SILENCE_MS, () => {
      const heard = stream.bytesRead
      // A process that stood still reads what has arrived first.
      setImmediate(() => {
        if (stream.bytesRead === heard) stream.destroy(new SilenceError())
      })
    })
  })

  return {
    dialect: new PostgresDialect({ pool }),
    skipsLocked: true,
    attempt: (work, isRead = false) =>
      isRead
        ? work().catch((error: unknown) => {
            if (hasBroken(error)) return work()
            throw error
          })
        : work()
  }
}
