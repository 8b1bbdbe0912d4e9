import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Uninstalls that are to be verified with HighLevel, and installs that are found by their code exchange. */
export const installsAndUninstalls: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema.alterTable('grants').addColumn('uninstall_reported_at', 'bigint').execute()
    await db.schema.createIndex('grants_install_id').on('grants').column('install_id').execute()
  }
}
