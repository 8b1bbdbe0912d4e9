import type { Kysely } from 'kysely'
import { unclaimed } from './grant-rows.ts'
import type { GrantStore } from './vault.ts'
import type { Tables } from './vault-schema.ts'

type GrantUninstalls = Pick<GrantStore, 'forgetGrant' | 'noteUninstall' | 'forgetCompany'>

/** How grants go. */
export function createGrantUninstalls(db: Kysely<Tables>): GrantUninstalls {
  const forget = (reason: string, at: number) =>
    db
      .updateTable('grants')
      .set(({ eb }) => ({
        generation: eb('generation', '+', 1),
        sealed: null,
        key_id: null,
        expires_at: null,
        state: 'uninstalled',
        state_since: at,
        state_reason: reason,
        event_at: at,
        failures: 0,
        tried_at: null,
        due_at: null,
        ...unclaimed
      }))
      .where('state', '!=', 'uninstalled')
      .where('event_at', '<=', at)

  return {
    async forgetGrant(subject, reason, at) {
      return (await forget(reason, at).where('subject', '=', subject).executeTakeFirst()).numUpdatedRows === 1n
    },

    async noteUninstall(subject, at) {
      const left = {
        state: 'uninstalled',
        state_since: at,
        state_reason: 'the app was uninstalled',
        event_at: at
      } as const
      await db
        .insertInto('grants')
        .values({ subject, kind: 'oauth', generation: 1, scopes: '', proven: 1, failures: 0, ...left })
        .onConflict((conflict) =>
          conflict
            .column('subject')
            .doUpdateSet({ event_at: at })
            .where('grants.state', '=', 'uninstalled')
            .where('grants.event_at', '<', at)
        )
        .execute()
    },

    async forgetCompany(companyId, reason, at) {
      const { numUpdatedRows } = await forget(reason, at)
        .where('company_id', '=', companyId)
        .where(({ eb, or }) => or([eb('kind', '=', 'minted'), eb('subject', '=', `company:${companyId}`)]))
        .executeTakeFirst()
      return Number(numUpdatedRows)
    }
  }
}
