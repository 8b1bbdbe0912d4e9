import type { Kysely, Selectable } from 'kysely'
import type { Clock } from '../../shared/clock.ts'
import type { Tables } from './tables.ts'
import type { ApiKey, ApiKeyStore } from './vault.ts'

const toApiKey = (row: Selectable<Tables['api_keys']>): ApiKey => ({
  id: row.id,
  name: row.name,
  hash: row.hash,
  locations: JSON.parse(row.locations) as string[],
  createdAt: row.created_at,
  revokedAt: row.revoked_at
})

/** API keys, of which the vault sees only hashes. */
export const createApiKeyStore = (db: Kysely<Tables>, clock: Pick<Clock, 'now'>): ApiKeyStore => ({
  async findKey(hash) {
    const row = await db.selectFrom('api_keys').selectAll().where('hash', '=', hash).executeTakeFirst()
    return row && toApiKey(row)
  },

  async addKey({ id, name, hash, locations }) {
    const row = { id, name, hash, locations: JSON.stringify(locations), created_at: clock.now(), revoked_at: null }
    await db.insertInto('api_keys').values(row).execute()
  },

  async listKeys() {
    const rows = await db.selectFrom('api_keys').selectAll().orderBy('created_at').execute()
    return rows.map(toApiKey)
  },

  async revokeKey(id) {
    const result = await db
      .updateTable('api_keys')
      .set(({ fn, val }) => ({ revoked_at: fn.coalesce('revoked_at', val(clock.now())) }))
      .where('id', '=', id)
      .executeTakeFirst()
    return result.numUpdatedRows === 1n
  }
})
