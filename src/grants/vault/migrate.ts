import { type Kysely, sql } from 'kysely'
import { DEFAULT_MIGRATION_TABLE, Migrator } from 'kysely/migration'
import { migrations } from './migrations/index.ts'
import type { Tables } from './tables.ts'

/** The tables are not those that this release works with. The message says what to do. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError'
}

async function appliedTo(db: Kysely<Tables>): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(({ name }) => name === DEFAULT_MIGRATION_TABLE)) return []
  const { rows } = await sql<{ name: string }>`select name from ${sql.table(DEFAULT_MIGRATION_TABLE)}`.execute(db)
  return rows.map(({ name }) => name)
}

/**
 * Brings the tables up to date, once, however many processes start together: one of them does it under a lock, and the
 * others find it done. Throws SchemaError where the tables are newer than this release, or older and cannot be changed.
 */
export async function migrate(
  db: Kysely<Tables>,
  lockTables?: (transaction: Kysely<Tables>) => Promise<void>
): Promise<void> {
  const known = Object.keys(migrations)
  const newer = (await appliedTo(db)).filter((name) => !known.includes(name))
  if (newer.length > 0) {
    throw new SchemaError(
      `The database was made by a newer release (${newer.join(', ')}): run that release, or a later one`
    )
  }
  const toLatest = async (on: Kysely<Tables>): Promise<void> => {
    const { error } = await new Migrator({
      db: on,
      provider: { getMigrations: async () => migrations }
    }).migrateToLatest()
    if (error !== undefined) throw error
  }
  try {
    if (lockTables === undefined) await toLatest(db)
    else await db.transaction().execute((transaction) => lockTables(transaction).then(() => toLatest(transaction)))
  } catch (error) {
    throw await schemaError(db, error)
  }
}

async function schemaError(db: Kysely<Tables>, error: unknown): Promise<SchemaError> {
  const known = Object.keys(migrations)
  const applied = await appliedTo(db)
  const missing = known.filter((name) => !applied.includes(name))
  return new SchemaError(
    `The database lacks ${missing.join(', ')} and cannot be brought up to date: ${error instanceof Error ? error.message : String(error)}`,
    { cause: error }
  )
}
