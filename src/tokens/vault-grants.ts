import type { Kysely, Selectable } from 'kysely'
import { type Cipher, CipherError } from './cipher.ts'
import type { Grant, GrantSummary, Tokens, Vault } from './vault.ts'
import type { Tables } from './vault-schema.ts'

type GrantStore = Pick<Vault, 'loadGrant' | 'saveGrant' | 'forgetGrant' | 'listGrants'>

const identity = (subject: string) => `grants:${subject}`

const summary = (row: Omit<Selectable<Tables['grants']>, 'sealed' | 'key_id'>): GrantSummary => ({
  subject: row.subject,
  kind: row.kind,
  companyId: row.company_id,
  generation: row.generation,
  scopes: row.scopes,
  state: row.state,
  stateSince: row.state_since,
  stateReason: row.state_reason,
  expiresAt: row.expires_at
})

const rowOf = (cipher: Cipher, grant: Omit<Grant, 'generation'>, generation: number) => ({
  subject: grant.subject,
  kind: grant.kind,
  company_id: grant.companyId,
  generation,
  sealed: grant.tokens && cipher.seal(JSON.stringify(grant.tokens), identity(grant.subject)),
  key_id: grant.tokens && cipher.sealingKeyId,
  expires_at: grant.tokens?.expiresAt ?? null,
  scopes: grant.scopes,
  state: grant.state,
  state_since: grant.stateSince,
  state_reason: grant.stateReason
})

/** The grants part of the vault, on any database that kysely speaks. */
export function createGrantStore(db: Kysely<Tables>, cipher: Cipher, now: () => number): GrantStore {
  return {
    async loadGrant(subject) {
      const row = await db.selectFrom('grants').selectAll().where('subject', '=', subject).executeTakeFirst()
      if (row === undefined) return undefined

      const { expiresAt: _, ...rest } = summary(row)
      if (row.sealed === null) return { ...rest, tokens: null }
      try {
        // What opens was sealed by this code: the authentication tag vouches for its shape.
        return { ...rest, tokens: JSON.parse(cipher.open(row.sealed, identity(subject))) as Tokens }
      } catch (error) {
        if (!(error instanceof CipherError)) throw error
        // Nobody can open it again, and a new install is what mends it.
        return { ...rest, tokens: null, state: 'reconnect-required', stateReason: error.message }
      }
    },

    async saveGrant(grant, after, generation = after + 1) {
      const row = rowOf(cipher, grant, generation)
      if (after === 0) {
        const inserted = await db
          .insertInto('grants')
          .values(row)
          .onConflict((conflict) => conflict.doNothing())
          .executeTakeFirst()
        return inserted.numInsertedOrUpdatedRows === 1n
      }
      const updated = await db
        .updateTable('grants')
        .set(row)
        .where('subject', '=', grant.subject)
        .where('generation', '=', after)
        .executeTakeFirst()
      return updated.numUpdatedRows === 1n
    },

    async forgetGrant(subject, reason) {
      const forgotten = await db
        .updateTable('grants')
        .set({
          sealed: null,
          key_id: null,
          expires_at: null,
          state: 'uninstalled',
          state_since: now(),
          state_reason: reason
        })
        .set(({ eb }) => ({ generation: eb('generation', '+', 1) }))
        .where('subject', '=', subject)
        .where('state', '!=', 'uninstalled')
        .executeTakeFirst()
      return forgotten.numUpdatedRows === 1n
    },

    async listGrants(prefix) {
      const rows = await db
        .selectFrom('grants')
        .select([
          'subject',
          'kind',
          'company_id',
          'generation',
          'expires_at',
          'scopes',
          'state',
          'state_since',
          'state_reason'
        ])
        .where('subject', 'like', `${prefix}%`)
        .orderBy('subject')
        .execute()
      return rows.map(summary)
    }
  }
}
