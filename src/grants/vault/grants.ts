import type { Kysely } from 'kysely'
import type { Subject } from '../grant.ts'
import { type Cipher, CipherError } from './cipher.ts'
import { toGrant, toSummary } from './rows.ts'
import type { Tables } from './tables.ts'
import type { GrantStore } from './vault.ts'

type GrantQueries = Pick<
  GrantStore,
  'loadGrant' | 'findGrant' | 'findInstall' | 'listCompanies' | 'listLocations' | 'countGrants'
>

/** Reads grants. */
export function createGrantQueries(db: Kysely<Tables>, cipher: Cipher): GrantQueries {
  const find = (subject: Subject) =>
    db.selectFrom('grants').selectAll().where('subject', '=', subject).executeTakeFirst()

  return {
    async loadGrant(subject) {
      const row = await find(subject)
      return row && toGrant(cipher, row)
    },

    async findGrant(subject) {
      const row = await find(subject)
      if (row === undefined) return undefined
      try {
        const { tokens: _, ...rest } = toGrant(cipher, row)
        return { ...rest, expiresAt: row.expires_at }
      } catch (error) {
        if (!(error instanceof CipherError)) throw error
        return toSummary(row)
      }
    },

    async findInstall(id) {
      const row = await db.selectFrom('grants').selectAll().where('install_id', '=', id).executeTakeFirst()
      return row && toSummary(row)
    },

    async listCompanies() {
      const rows = await db
        .selectFrom('grants')
        .select('subject')
        .where('subject', 'like', 'company:%')
        .where('state', '!=', 'uninstalled')
        .orderBy('subject')
        .execute()
      return rows.map(({ subject }) => subject.slice('company:'.length))
    },

    async listLocations({ after = '', limit, state }) {
      const rows = await db
        .selectFrom('grants')
        .selectAll()
        .where('subject', 'like', 'location:%')
        .where('subject', '>', `location:${after}`)
        .$if(state !== undefined, (query) => query.where('state', '=', state ?? 'connected'))
        .orderBy('subject')
        .limit(limit)
        .execute()
      return rows.map(toSummary)
    },

    async countGrants() {
      const states = await db
        .selectFrom('grants')
        .select(['state', ({ fn }) => fn.countAll<number>().as('count')])
        .groupBy('state')
        .execute()
      const oldest = await db
        .selectFrom('grants')
        .select('due_at')
        .where('due_at', 'is not', null)
        .orderBy('due_at')
        .limit(1)
        .executeTakeFirst()
      return { states, oldestDueAt: oldest?.due_at ?? null }
    }
  }
}
