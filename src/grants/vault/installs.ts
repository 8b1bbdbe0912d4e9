import type { Kysely } from 'kysely'
import type { Subject } from '../grant.ts'
import type { Cipher } from './cipher.ts'
import { issuedColumns } from './rows.ts'
import type { Tables } from './tables.ts'
import type { GrantStore } from './vault.ts'

type GrantInstalls = Pick<GrantStore, 'installGrant' | 'addMintedLocation' | 'rescheduleCompany'>

/**
 * How grants begin. HighLevel's events arrive in any order, twice or never, so each change compares when its event
 * happened.
 */
export function createGrantInstalls(db: Kysely<Tables>, cipher: Cipher): GrantInstalls {
  return {
    async installGrant(issued, { id, at, isRepeated, after }) {
      const row = { ...issuedColumns(cipher, issued), event_at: at, install_id: id }
      await db
        .insertInto('grants')
        .values({ subject: issued.subject, generation: 1, ...row })
        .onConflict((conflict) =>
          conflict
            .column('subject')
            .doUpdateSet(({ eb }) => ({ ...row, generation: eb('grants.generation', '+', 1) }))
            .where(({ eb, and, or }) => {
              // The same install may be saved already, and its grant renewed or uninstalled since.
              const isNotSavedYet = and([
                eb('grants.install_id', 'is distinct from', id),
                ...(after === undefined ? [] : [eb('grants.generation', '=', after)])
              ])
              // A first attempt happens now. By the time of a repeated one, something newer may have happened.
              const isNewest = or([
                eb('grants.event_at', '<=', at),
                and([eb('grants.sealed', 'is', null), eb('grants.state', '!=', 'uninstalled')])
              ])
              return isRepeated ? and([isNotSavedYet, isNewest]) : isNotSavedYet
            })
        )
        .execute()
    },

    async addMintedLocation(locationId, companyId, at, { dueAt, waitsForCompany }) {
      const subject: Subject = `location:${locationId}`
      const minted = { kind: 'minted', companyId, tokens: null, scopes: '', stateSince: at, verified: true } as const
      const waiting = waitsForCompany
        ? { state: 'backing-off' as const, state_reason: 'the company of this location is not connected yet' }
        : {}
      const row = {
        ...issuedColumns(cipher, { subject, ...minted, dueAt }),
        ...waiting,
        event_at: at,
        install_id: null
      }
      const result = await db
        .insertInto('grants')
        .values({ subject, generation: 1, ...row })
        .onConflict((conflict) =>
          conflict
            .column('subject')
            .doUpdateSet(({ eb, ref }) => ({
              ...row,
              generation: eb('grants.generation', '+', 1),
              // A location that is due already stays due.
              due_at: dueAt ?? ref('grants.due_at')
            }))
            .where('grants.event_at', '<=', at)
            .where(({ eb, or }) =>
              or([eb('grants.sealed', 'is', null), eb('grants.state', 'in', ['reconnect-required', 'uninstalled'])])
            )
        )
        .executeTakeFirst()
      return result.numInsertedOrUpdatedRows === 1n
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
