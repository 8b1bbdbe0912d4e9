import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

const FIFTH_OF_A_DAY_MS = 17_280_000

/** The columns by which processes share the renewal of grants, and the webhooks that were carried out. */
export const leasesAndWebhooks: Migration = {
  async up(db: Kysely<unknown>) {
    const grants = db.schema.alterTable('grants')
    await grants.addColumn('event_at', 'bigint', (column) => column.notNull().defaultTo(0)).execute()
    await grants.addColumn('proven', 'integer', (column) => column.notNull().defaultTo(1)).execute()
    await grants.addColumn('failures', 'integer', (column) => column.notNull().defaultTo(0)).execute()
    for (const name of ['tried_at', 'due_at', 'intent_at', 'prior_intent_at', 'lease_until'])
      await grants.addColumn(name, 'bigint').execute()
    for (const name of ['lease_owner', 'install_id']) await grants.addColumn(name, 'text').execute()

    // What is due is found by this alone; rows that are never due by themselves are at its far end.
    await db.schema.createIndex('grants_due_at').on('grants').column('due_at').execute()
    // Few at any time: renewals under way, and those that nobody knows the end of.
    await db.schema
      .createIndex('grants_intent_at')
      .on('grants')
      .column('intent_at')
      .where('intent_at', 'is not', null)
      .execute()
    await db.schema.createIndex('grants_company_id').on('grants').column('company_id').execute()
    await db.schema.createIndex('grants_state').on('grants').column('state').execute()

    await db.schema
      .createTable('webhooks')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('received_at', 'bigint', (column) => column.notNull())
      .execute()
    await db.schema.createIndex('webhooks_received_at').on('webhooks').column('received_at').execute()

    // Grants of before are renewed by the sweep as well: at 80 % of the day that HighLevel's tokens live.
    await (db as Kysely<{ grants: { due_at: number | null; expires_at: number | null; kind: string; state: string } }>)
      .updateTable('grants')
      .set(({ eb }) => ({ due_at: eb('expires_at', '-', FIFTH_OF_A_DAY_MS) }))
      .where('kind', '!=', 'private')
      .where('state', 'in', ['connected', 'paused'])
      .execute()
  }
}
