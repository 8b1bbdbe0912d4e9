import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { type DialectAdapter, type Kysely, type MigrationLockOptions, SqliteAdapter, SqliteDialect, sql } from 'kysely'
import type { Database as Opened, Purpose } from './database.ts'

/**
 * How long a statement waits for another connection's write. The wait blocks the whole process, so only a command, which
 * has nothing else to do, spends much of it; a server waits between its tries, while its other work goes on.
 */
const BUSY_TIMEOUT_MS: Record<Purpose, number> = { setup: 5, serving: 5, command: 5_000 }
const TRIES_FOR_MS: Record<Purpose, number> = { setup: 10_000, serving: 2_000, command: 10_000 }
const PAUSE_MS = 25
const OWNER_ONLY = 0o600

/**
 * kysely knows no lock for SQLite and runs migrations outside a transaction. Here the first statement takes SQLite's
 * one write lock, so that processes that start together on a new file migrate it once and whole.
 */
class LockingAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl() {
    return true
  }
  // biome-ignore lint/suspicious/noExplicitAny: the type is kysely's
  override async acquireMigrationLock(db: Kysely<any>, { lockTable, lockRowId }: MigrationLockOptions) {
    await sql`update ${sql.table(lockTable)} set is_locked = 1 where id = ${lockRowId}`.execute(db)
  }
  // biome-ignore lint/suspicious/noExplicitAny: the type is kysely's
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
 * For its user alone, whatever the umask, and also where an earlier release made it. SQLite gives the files beside it the
 * mode that it finds here.
 */
function restrict(file: string): void {
  try {
    // Only made, never opened where it is there: to close it would give up the locks that this process has on it
    // (https://www.sqlite.org/howtocorrupt.html, 2.2).
    if (!existsSync(file)) closeSync(openSync(file, 'wx', OWNER_ONLY))
  } catch {
    // SQLite meets the same, and says it in its own words.
    return
  }
  for (const each of [file, `${file}-wal`, `${file}-shm`]) {
    const found = statSync(each, { throwIfNoEntry: false })
    // Whose it is not cannot change it, and whose it is has decided.
    if (found?.isFile() && (found.mode & 0o077) !== 0 && found.uid === process.getuid?.()) chmodSync(each, OWNER_ONLY)
  }
}

export function openSqlite(path: string, purpose: Purpose): Opened {
  const file = resolve(path)
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  restrict(file)
  const database = new Database(file, { timeout: BUSY_TIMEOUT_MS[purpose] })
  database.pragma('journal_mode = WAL')
  // A grant that is saved must outlive a power cut: WAL with the default of NORMAL may lose the last commits.
  database.pragma('synchronous = FULL')

  const { ino } = statSync(file)
  return {
    dialect: new LockingDialect({ database }),
    skipsLocked: false,
    // SQLite goes on reading and writing a file that was deleted, and all of it would be gone with the process.
    verify() {
      if (statSync(file, { throwIfNoEntry: false })?.ino !== ino)
        throw new Error(`The file of the vault was deleted or replaced: ${file}`)
    },
    async attempt(work) {
      for (const givesUpAt = performance.now() + TRIES_FOR_MS[purpose]; ; await sleep(PAUSE_MS)) {
        try {
          return await work()
        } catch (error) {
          if (!isBusy(error) || performance.now() > givesUpAt) throw error
        }
      }
    }
  }
}
