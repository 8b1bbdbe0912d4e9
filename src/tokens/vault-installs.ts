import type { Kysely } from 'kysely'
import type { Cipher } from './cipher.ts'
import { fruitRow } from './grant-rows.ts'
import type { GrantStore, Subject } from './vault.ts'
import type { Tables } from './vault-schema.ts'

type GrantInstalls = Pick<GrantStore, 'installGrant' | 'enrolLocation' | 'wakeCompany'>

/** How grants come. Events of HighLevel's arrive in any order, twice or never: each change looks at when it happened. */
export function createGrantInstalls(db: Kysely<Tables>, cipher: Cipher): GrantInstalls {
  return {
    async installGrant(fruit, at) {
      const row = { ...fruitRow(cipher, fruit), event_at: at }
      await db
        .insertInto('grants')
        .values({ subject: fruit.subject, generation: 1, ...row })
        .onConflict((conflict) =>
          conflict.column('subject').doUpdateSet(({ eb }) => ({ ...row, generation: eb('grants.generation', '+', 1) }))
        )
        .execute()
    },

    async enrolLocation(locationId, companyId, at, dueAt) {
      const subject: Subject = `location:${locationId}`
      const fruit = {
        subject,
        kind: 'minted',
        companyId,
        tokens: null,
        scopes: '',
        stateSince: at,
        proven: true,
        dueAt
      } as const
      const row = { ...fruitRow(cipher, fruit), event_at: at }
      const enrolled = await db
        .insertInto('grants')
        .values({ subject, generation: 1, ...row })
        .onConflict((conflict) =>
          conflict
            .column('subject')
            .doUpdateSet(({ eb, ref }) => ({
              ...row,
              generation: eb('grants.generation', '+', 1),
              // One that waits already is not put off.
              due_at: dueAt ?? ref('grants.due_at')
            }))
            .where('grants.event_at', '<=', at)
            .where(({ eb, or }) =>
              or([eb('grants.sealed', 'is', null), eb('grants.state', 'in', ['reconnect-required', 'uninstalled'])])
            )
        )
        .executeTakeFirst()
      return enrolled.numInsertedOrUpdatedRows === 1n
    },

    async wakeCompany(companyId, at) {
      await db
        .updateTable('grants')
        .set({ state: 'connected', state_since: at, state_reason: null, failures: 0, tried_at: null, due_at: at })
        .where('company_id', '=', companyId)
        .where('kind', '=', 'minted')
        .where('state', '!=', 'uninstalled')
        .where(({ eb, or }) => or([eb('sealed', 'is', null), eb('state', '!=', 'connected')]))
        .execute()
    }
  }
}
