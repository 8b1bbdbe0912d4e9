import { type Kysely, sql } from 'kysely'
import { DEFAULT_MIGRATION_TABLE, Migrator } from 'kysely/migration'
import { migrations } from './migrations/index.ts'
import type { Tables } from './tables.ts'

/** The tables do not fit this release. The message says what to do. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError'
}

async function appliedMigrations(db: Kysely<Tables>): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(({ name }) => name === DEFAULT_MIGRATION_TABLE)) return []
  const { rows } = await sql<{ name: string }>`select name from ${sql.table(DEFAULT_MIGRATION_TABLE)}`.execute(db)
  return rows.map(({ name }) => name)
}

async function migrateToLatest(db: Kysely<Tables>): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
}

/**
 * Applies the missing migrations, once, however many processes start together: one of them migrates under a lock, the
 * others wait and find it done. Throws SchemaError if the tables are newer than this release, or older and cannot be
 * changed.
 */
export async function migrate(
  db: Kysely<Tables>,
  lockTables?: (transaction: Kysely<Tables>) => Promise<void>
): Promise<void> {
  const known = Object.keys(migrations)
  const newer = (await appliedMigrations(db)).filter((name) => !known.includes(name))
  if (newer.length > 0) {
    throw new SchemaError(
      `The database belongs to a newer release (${newer.join(', ')}): run that release or a later one`
    )
  }
  try {
    if (lockTables === undefined) await migrateToLatest(db)
    else
      await db.transaction().execute((transaction) => lockTables(transaction).then(() => migrateToLatest(transaction)))
  } catch (error) {
    throw await schemaError(db, error)
  }
}

async function schemaError(db: Kysely<Tables>, cause: unknown): Promise<SchemaError> {
  const applied = await appliedMigrations(db)
  const missing = Object.keys(migrations).filter((name) => !applied.includes(name))
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new SchemaError(`The database lacks ${missing.join(', ')} and cannot be migrated: ${reason}`, { cause })
}
