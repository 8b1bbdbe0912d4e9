import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import BetterSqlite from 'better-sqlite3'
import { type DialectAdapter, type Kysely, type MigrationLockOptions, SqliteAdapter, SqliteDialect, sql } from 'kysely'
import type { Clock } from '../../shared/clock.ts'
import type { Database, Purpose } from './database.ts'

/**
 * How long a statement waits for another connection's write. SQLite blocks the whole process while it waits, so only a
 * command, which has nothing else to do, waits long. A server waits between its attempts instead (RETRY_PAUSE_MS).
 */
const BUSY_TIMEOUT_MS: Record<Purpose, number> = { setup: 5, serving: 5, command: 5_000 }
/** How long a statement is repeated while the database is busy. */
const RETRY_FOR_MS: Record<Purpose, number> = { setup: 10_000, serving: 2_000, command: 10_000 }
const RETRY_PAUSE_MS = 25
const OWNER_ONLY = 0o600

/**
 * kysely takes no lock on SQLite and runs migrations outside a transaction. This adapter runs them in one transaction
 * whose first statement takes SQLite's single write lock: processes that start together on a new file migrate it once,
 * and completely.
 */
class LockingAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl() {
    return true
  }
  // biome-ignore lint/suspicious/noExplicitAny: kysely's own type
  override async acquireMigrationLock(db: Kysely<any>, { lockTable, lockRowId }: MigrationLockOptions) {
    await sql`update ${sql.table(lockTable)} set is_locked = 1 where id = ${lockRowId}`.execute(db)
  }
  // biome-ignore lint/suspicious/noExplicitAny: kysely's own type
  override async releaseMigrationLock(db: Kysely<any>, { lockTable, lockRowId }: MigrationLockOptions) {
    await sql`update ${sql.table(lockTable)} set is_locked = 0 where id = ${lockRowId}`.execute(db)
  }
}

class LockingDialect extends SqliteDialect {
  override createAdapter(): DialectAdapter {
    return new LockingAdapter()
  }
}

const isBusy = (error: unknown): boolean => {
  const { code, cause } = error as { code?: unknown; cause?: unknown }
  return String(code).startsWith('SQLITE_BUSY') || (cause instanceof Error && isBusy(cause))
}

/**
 * Makes the file readable and writable by its owner alone, whatever the umask, and even if an earlier release created
 * it. SQLite gives its WAL files the mode of this file.
 */
function restrictToOwner(file: string): void {
  try {
    // Never open an existing file: closing it would drop this process's locks on it
    // (https://www.sqlite.org/howtocorrupt.html, 2.2).
    if (!existsSync(file)) closeSync(openSync(file, 'wx', OWNER_ONLY))
  } catch {
    // SQLite is about to fail in the same way, with a better message.
    return
  }
  for (const path of [file, `${file}-wal`, `${file}-shm`]) {
    const stats = statSync(path, { throwIfNoEntry: false })
    // Only the owner may change the mode. A file of another user is left as that user has set it.
    if (stats?.isFile() && (stats.mode & 0o077) !== 0 && stats.uid === process.getuid?.()) chmodSync(path, OWNER_ONLY)
  }
}

export function openSqlite(path: string, purpose: Purpose, clock: Clock): Database {
  const file = resolve(path)
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  restrictToOwner(file)
  const database = new BetterSqlite(file, { timeout: BUSY_TIMEOUT_MS[purpose] })
  database.pragma('journal_mode = WAL')
  // A saved grant must survive a power cut. With NORMAL, the default under WAL, the last commits may be lost.
  database.pragma('synchronous = FULL')

  const { ino } = statSync(file)
  return {
    dialect: new LockingDialect({ database }),
    skipsLocked: false,
    // SQLite keeps reading and writing a deleted file, and everything written is lost when the process ends.
    verify() {
      if (statSync(file, { throwIfNoEntry: false })?.ino !== ino)
        throw new Error(`The vault file was deleted or replaced: ${file}`)
    },
    async attempt(work) {
      for (const giveUpAt = clock.monotonic() + RETRY_FOR_MS[purpose]; ; await clock.sleep(RETRY_PAUSE_MS)) {
        try {
          return await work()
        } catch (error) {
          if (!isBusy(error) || clock.monotonic() > giveUpAt) throw error
        }
      }
    }
  }
}
