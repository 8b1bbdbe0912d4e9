import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** May be run again after an end halfway: SQLite has no transaction around it. Times are epoch milliseconds. `sealed` holds the tokens under the key `key_id`. */
export const grantsAndKeys: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('grants')
      .ifNotExists()
      .addColumn('subject', 'text', (column) => column.primaryKey())
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('company_id', 'text')
      .addColumn('generation', 'bigint', (column) => column.notNull())
      .addColumn('sealed', 'text')
      .addColumn('key_id', 'text')
      .addColumn('expires_at', 'bigint')
      .addColumn('scopes', 'text', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('state_since', 'bigint', (column) => column.notNull())
      .addColumn('state_reason', 'text')
      .execute()
    await db.schema.createIndex('grants_key_id').ifNotExists().on('grants').column('key_id').execute()

    await db.schema
      .createTable('api_keys')
      .ifNotExists()
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('hash', 'text', (column) => column.notNull().unique())
      .addColumn('locations', 'text', (column) => column.notNull())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addColumn('revoked_at', 'bigint')
      .execute()

    // One known text sealed under each key: shows at the start that a key is the one its name says.
    await db.schema
      .createTable('vault_keys')
      .ifNotExists()
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('sealed', 'text', (column) => column.notNull())
      .execute()
  }
}
