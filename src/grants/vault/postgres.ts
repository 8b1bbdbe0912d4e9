import type { Socket } from 'node:net'
import { type DialectAdapter, type Kysely, PostgresAdapter, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import type { BaseLogger } from 'pino'
import type { Database, Purpose } from './database.ts'
import type { Tables } from './tables.ts'

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

/** The one that kysely takes, and earlier releases with it. */
const MIGRATION_LOCK = 3_853_314_791_062_309_107n

/**
 * Holds the lock of migrations until the transaction ends. kysely holds it for the session, and behind a pooler that
 * hands out connections by transaction the unlocking may reach another session.
 */
async function lockTables(transaction: Kysely<Tables>): Promise<void> {
  // A serving connection's time-out may have stayed behind in such a pooler. A migration takes as long as it takes.
  await sql`set local statement_timeout = 0`.execute(transaction)
  await sql`select pg_advisory_xact_lock(${sql.lit(MIGRATION_LOCK)})`.execute(transaction)
}

/** Takes no lock of its own: `lockTables` has it. */
class UnlockedAdapter extends PostgresAdapter {
  override acquireMigrationLock = async () => undefined
  override releaseMigrationLock = async () => undefined
}

class UnlockedDialect extends PostgresDialect {
  override createAdapter(): DialectAdapter {
    return new UnlockedAdapter()
  }
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

/** Ends a connection on which a statement is under way and nothing comes back. */
function breakSilence(stream: Socket): void {
  stream.setTimeout(SILENCE_MS, () => {
    const heard = stream.bytesRead
    // A process that stood still reads what has arrived first.
    setImmediate(() => {
      if (stream.bytesRead === heard) stream.destroy(new SilenceError())
    })
  })
}

/**
 * Makes a new connection one for a server's calls. The time-out is set by a statement, since PgBouncer refuses it as a
 * parameter of the connection.
 */
async function prepareServing(client: pg.ClientBase): Promise<void> {
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection
  breakSilence(stream)
  const query = { text: `set statement_timeout = ${STATEMENT_TIMEOUT_MS}`, query_timeout: CONNECT_TIMEOUT_MS }
  await client.query(query).catch((error: unknown) => {
    stream.destroy()
    throw error
  })
}

export function openPostgres(url: string, purpose: Purpose, log: Pick<BaseLogger, 'debug'> | undefined): Database {
  // Connections break when the server restarts. What was asked on one rejects, and the pool replaces it; but without
  // listeners, for the idle ones and for those in use, the process would end.
  const broke = (err: Error) => log?.debug({ err }, 'a connection to the database broke')
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'records-gateway',
    max: CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_MS,
    onConnect(client) {
      client.on('error', broke)
      // A migration or a command may take as long as it takes.
      return purpose === 'serving' ? prepareServing(client) : undefined
    },
    keepAlive: true,
    types
  })
  pool.on('error', broke)

  return {
    dialect: new UnlockedDialect({ pool }),
    skipsLocked: true,
    lockTables,
    attempt: (work, isRead = false) =>
      isRead
        ? work().catch((error: unknown) => {
            if (hasBroken(error)) return work()
            throw error
          })
        : work()
  }
}
