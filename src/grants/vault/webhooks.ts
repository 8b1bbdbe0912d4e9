import type { Kysely } from 'kysely'
import type { Clock } from '../../shared/clock.ts'
import type { Tables } from './tables.ts'
import type { WebhookStore } from './vault.ts'

/** The webhooks that were processed. */
export const createWebhookStore = (db: Kysely<Tables>, clock: Pick<Clock, 'now'>): WebhookStore => ({
  async hasWebhook(id) {
    return (await db.selectFrom('webhooks').select('id').where('id', '=', id).executeTakeFirst()) !== undefined
  },

  async addWebhook(id, olderThan) {
    await db
      .insertInto('webhooks')
      .values({ id, received_at: clock.now() })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
    await db.deleteFrom('webhooks').where('received_at', '<', olderThan).execute()
  }
})
