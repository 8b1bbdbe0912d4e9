import type { Kysely } from 'kysely'
import type { Subject } from '../grant.ts'
import { type Cipher, CipherError } from './cipher.ts'
import { grantOf, identity, summaryOf } from './rows.ts'
import type { Tables } from './tables.ts'
import type { GrantStore } from './vault.ts'

type GrantReads = Pick<GrantStore, 'loadGrant' | 'findGrant' | 'listLocations' | 'countGrants' | 'rekeyGrants'>

const RESEAL_AT_ONCE = 100

/** Reading grants, and sealing them anew. */
export function createGrantStore(db: Kysely<Tables>, cipher: Cipher): GrantReads {
  /** The next rows under another key, in the order of their names. */
  const sealedElsewhere = (after: Subject) =>
    db
      .selectFrom('grants')
      .select(['subject', 'sealed'])
      .where('key_id', '!=', cipher.sealingKeyId)
      .where('subject', '>', after)
      .orderBy('subject')
      .limit(RESEAL_AT_ONCE)
      .execute()

  /** By the ciphertext that was read: a renewal that saves meanwhile has sealed under the first key itself. */
  const reseal = async (subject: Subject, sealed: string): Promise<boolean> => {
    const anew = cipher.seal(cipher.open(sealed, identity(subject)), identity(subject))
    const { numUpdatedRows } = await db
      .updateTable('grants')
      .set({ sealed: anew, key_id: cipher.sealingKeyId })
      .where('subject', '=', subject)
      .where('sealed', '=', sealed)
      .executeTakeFirst()
    return numUpdatedRows === 1n
  }

  return {
    async loadGrant(subject) {
      const row = await db.selectFrom('grants').selectAll().where('subject', '=', subject).executeTakeFirst()
      return row && grantOf(cipher, row)
    },

    async findGrant(subject) {
      const row = await db.selectFrom('grants').selectAll().where('subject', '=', subject).executeTakeFirst()
      if (row === undefined) return undefined
      try {
        const { tokens: _, ...rest } = grantOf(cipher, row)
        return { ...rest, expiresAt: row.expires_at }
      } catch (error) {
        if (!(error instanceof CipherError)) throw error
        return summaryOf(row)
      }
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
      return rows.map(summaryOf)
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
    },

    async rekeyGrants() {
      const counts = { resealed: 0, damaged: 0 }
      let after = '' as Subject
      for (;;) {
        const rows = await sealedElsewhere(after)
        if (rows.length === 0) return counts
        for (const { subject, sealed } of rows) {
          after = subject
          try {
            if (sealed !== null && (await reseal(subject, sealed))) counts.resealed += 1
          } catch (error) {
            if (!(error instanceof CipherError)) throw error
            counts.damaged += 1
          }
        }
      }
    }
  }
}
