import type { Kysely } from 'kysely'
import type { Subject } from '../grant.ts'
import type { Cipher } from './cipher.ts'
import { issuedRow, summaryOf } from './rows.ts'
import type { Tables } from './tables.ts'
import type { GrantStore } from './vault.ts'

type InstallReads = Pick<GrantStore, 'findInstall' | 'listCompanies'>
type GrantInstalls = Pick<GrantStore, 'installGrant' | 'addMintedLocation' | 'rescheduleCompany'>

/** How grants come. Events of HighLevel's arrive in any order, twice or never: each change looks at when it happened. */
export function createGrantInstalls(db: Kysely<Tables>, cipher: Cipher): GrantInstalls {
  return {
    async installGrant(fruit, { id, at, isRepeated, after }) {
      const row = { ...issuedRow(cipher, fruit), event_at: at, install_id: id }
      await db
        .insertInto('grants')
        .values({ subject: fruit.subject, generation: 1, ...row })
        .onConflict((conflict) =>
          conflict
            .column('subject')
            .doUpdateSet(({ eb }) => ({ ...row, generation: eb('grants.generation', '+', 1) }))
            .where(({ eb, and, or }) => {
              // Carried out already, and renewed or even forgotten since.
              const isOther = and([
                eb('grants.install_id', 'is distinct from', id),
                ...(after === undefined ? [] : [eb('grants.generation', '=', after)])
              ])
              // The first try happens now. By the time of another one, something newer may be there.
              const isNewer = or([
                eb('grants.event_at', '<=', at),
                and([eb('grants.sealed', 'is', null), eb('grants.state', '!=', 'uninstalled')])
              ])
              return isRepeated ? and([isOther, isNewer]) : isOther
            })
        )
        .execute()
    },

    async addMintedLocation(locationId, companyId, at, { dueAt, waits }) {
      const subject: Subject = `location:${locationId}`
      const minted = { kind: 'minted', companyId, tokens: null, scopes: '', stateSince: at, verified: true } as const
      const standing = waits
        ? { state: 'backing-off' as const, state_reason: 'the company of this location is not connected yet' }
        : {}
      const row = { ...issuedRow(cipher, { subject, ...minted, dueAt }), ...standing, event_at: at, install_id: null }
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

    async rescheduleCompany(companyId, at, reasons) {
      await db
        .updateTable('grants')
        .set({ state: 'connected', state_since: at, state_reason: null, failures: 0, tried_at: null, due_at: at })
        .where('company_id', '=', companyId)
        .where('kind', '=', 'minted')
        .where('state', 'in', ['backing-off', 'paused', 'reconnect-required'])
        .where('lease_owner', 'is', null)
        .$if(reasons !== undefined, (query) => query.where('state_reason', 'in', reasons ?? []))
        .execute()
    }
  }
}

/** What was installed. */
export function createInstallReads(db: Kysely<Tables>): InstallReads {
  return {
    async findInstall(id) {
      const row = await db.selectFrom('grants').selectAll().where('install_id', '=', id).executeTakeFirst()
      return row && summaryOf(row)
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
    }
  }
}
