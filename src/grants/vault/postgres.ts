import type { Socket } from 'node:net'
import { type DialectAdapter, type Kysely, PostgresAdapter, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import type { BaseLogger } from 'pino'
import type { Database, Purpose } from './database.ts'
import type { Tables } from './tables.ts'

const CONNECTIONS = 10
/** For opening a connection, and for waiting until the pool has a free one. */
const CONNECT_TIMEOUT_MS = 2_000
/** The server aborts a statement, and its wait for a lock, after this. It is then known not to have happened. */
const STATEMENT_TIMEOUT_MS = 5_000
/** A connection that stays silent for longer is dead: the network may have dropped it without notice. */
const SILENCE_MS = 8_000
const IDLE_MS = 5_000

const INT8 = pg.types.builtins.INT8

/** Parses bigint columns as numbers: times and generations are far below 2^53. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (id, format) => (id === INT8 ? Number : pg.types.getTypeParser(id, format))
}

/** The advisory lock that kysely takes. Earlier releases of this service took it through kysely. */
const MIGRATION_LOCK = 3_853_314_791_062_309_107n

/**
 * Holds the migration lock until the transaction ends. kysely would hold it for the session; but behind a pooler that
 * assigns connections by transaction, the unlock may reach another session.
 */
async function lockTables(transaction: Kysely<Tables>): Promise<void> {
  // Migrations have no time limit, but such a pooler may reuse a connection that still has a serving connection's.
  await sql`set local statement_timeout = 0`.execute(transaction)
  await sql`select pg_advisory_xact_lock(${sql.lit(MIGRATION_LOCK)})`.execute(transaction)
}

/** Takes no migration lock itself: `lockTables` does. */
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

/**
 * The connection is gone. An idle connection breaks when the server restarts, and only the next statement shows it.
 */
const isConnectionError = (error: unknown): boolean => {
  const { code, message } = error as { code?: unknown; message?: unknown }
  return /^(57P0|08|ECONNRESET|EPIPE|ETIMEDOUT)/.test(String(code)) || /^Connection terminated/.test(String(message))
}

/** Closes the connection when a statement gets no data for SILENCE_MS. */
function closeWhenSilent(stream: Socket): void {
  stream.setTimeout(SILENCE_MS, () => {
    const bytesBefore = stream.bytesRead
    // After the process was suspended, the timer fires before data that has already arrived is read.
    setImmediate(() => {
      if (stream.bytesRead === bytesBefore) stream.destroy(new SilenceError())
    })
  })
}

/**
 * Sets the time limits of a new serving connection. The statement timeout is set by a statement, because PgBouncer
 * rejects it as a connection parameter.
 */
async function prepareServing(client: pg.ClientBase): Promise<void> {
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection
  closeWhenSilent(stream)
  const query = { text: `set statement_timeout = ${STATEMENT_TIMEOUT_MS}`, query_timeout: CONNECT_TIMEOUT_MS }
  await client.query(query).catch((error: unknown) => {
    stream.destroy()
    throw error
  })
}

export function openPostgres(url: string, purpose: Purpose, log: Pick<BaseLogger, 'debug'> | undefined): Database {
  // Connections break when the server restarts. Their statements reject and the pool replaces them; but without an
  // error listener on both the pool and each client, the process would exit.
  const onBroken = (err: Error) => log?.debug({ err }, 'a database connection broke')
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'records-gateway',
    max: CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_MS,
    onConnect(client) {
      client.on('error', onBroken)
      // Migrations and commands have no time limit.
      return purpose === 'serving' ? prepareServing(client) : undefined
    },
    keepAlive: true,
    types
  })
  pool.on('error', onBroken)

  return {
    dialect: new UnlockedDialect({ pool }),
    skipsLocked: true,
    lockTables,
    attempt: (work, isRead = false) =>
      isRead
        ? work().catch((error: unknown) => {
            if (isConnectionError(error)) return work()
            throw error
          })
        : work()
  }
}
