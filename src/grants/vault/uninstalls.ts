import type { ExpressionBuilder, Kysely } from 'kysely'
import type { IssuedGrant } from '../grant.ts'
import { VERIFY_EVERY_MS } from '../renewal/schedule.ts'
import { noLease } from './rows.ts'
import type { Tables } from './tables.ts'
import type { GrantStore } from './vault.ts'

type GrantUninstalls = Pick<
  GrantStore,
  'markUninstalled' | 'recordUninstall' | 'reportUninstall' | 'confirmUninstall' | 'markCompanyUninstalled'
>

const COMPANY = 'company:'
const UNINSTALLED = 'the app was uninstalled'

/** No token request takes this long. A report further ahead was written by a clock that has been set back since. */
const LONGEST_TOKEN_REQUEST_MS = 300_000

/**
 * The columns that a renewal sets besides the issued ones. Tokens that were requested before an uninstall was reported
 * do not disprove the report: it stays open, and the grant is renewed again soon.
 */
export function renewalColumns(
  eb: ExpressionBuilder<Tables, 'grants'>,
  { tokens, dueAt }: Pick<IssuedGrant, 'tokens' | 'dueAt'>
) {
  const issuedAt = tokens?.issuedAt ?? 0
  const isStillOpen = eb.between('uninstall_reported_at', issuedAt + 1, issuedAt + LONGEST_TOKEN_REQUEST_MS)
  return {
    uninstall_reported_at: eb.case().when(isStillOpen).then(eb.ref('uninstall_reported_at')).else(null).end(),
    due_at: eb
      .case()
      .when(isStillOpen)
      .then(eb.val(issuedAt + VERIFY_EVERY_MS))
      .else(eb.cast<number | null>(eb.val(dueAt), 'bigint'))
      .end()
  }
}

const uninstall = (db: Kysely<Tables>, reason: string, at: number) =>
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
      uninstall_reported_at: null,
      ...noLease
    }))
    .where('state', '!=', 'uninstalled')

/** How grants end. */
export function createGrantUninstalls(db: Kysely<Tables>): GrantUninstalls {
  const markCompanyUninstalled: GrantUninstalls['markCompanyUninstalled'] = async (companyId, reason, at) => {
    const { numUpdatedRows } = await uninstall(db, reason, at)
      .where('event_at', '<=', at)
      .where('company_id', '=', companyId)
      .where(({ eb, or }) => or([eb('kind', '=', 'minted'), eb('subject', '=', `company:${companyId}`)]))
      .executeTakeFirst()
    return Number(numUpdatedRows)
  }

  return {
    async markUninstalled(subject, reason, at) {
      const { numUpdatedRows } = await uninstall(db, reason, at)
        .where('event_at', '<=', at)
        .where('subject', '=', subject)
        .executeTakeFirst()
      return numUpdatedRows === 1n
    },

    async recordUninstall(subject, at) {
      const uninstalled = {
        state: 'uninstalled',
        state_since: at,
        state_reason: UNINSTALLED,
        event_at: at
      } as const
      await db
        .insertInto('grants')
        .values({ subject, kind: 'oauth', generation: 1, scopes: '', proven: 1, failures: 0, ...uninstalled })
        .onConflict((conflict) =>
          conflict
            .column('subject')
            .doUpdateSet({ event_at: at })
            .where('grants.state', '=', 'uninstalled')
            .where('grants.event_at', '<', at)
        )
        .execute()
    },

    async reportUninstall(subject, at, dueAt) {
      await db
        .updateTable('grants')
        .set(({ eb, ref, or }) => {
          const isSooner = or([eb('due_at', 'is', null), eb('due_at', '>', dueAt)])
          // While a report is open, the retries of the renewal set the due time.
          const movesDueTime = eb.and([eb('uninstall_reported_at', 'is', null), isSooner])
          return {
            uninstall_reported_at: at,
            due_at:
              dueAt === null
                ? ref('due_at')
                : eb.case().when(movesDueTime).then(eb.val(dueAt)).else(ref('due_at')).end()
          }
        })
        .where('subject', '=', subject)
        .where('kind', '!=', 'private')
        .where('state', '!=', 'uninstalled')
        .execute()
    },

    async confirmUninstall(subject, at) {
      const { numUpdatedRows } = await uninstall(db, UNINSTALLED, at)
        .where('subject', '=', subject)
        .where('state', '=', 'reconnect-required')
        .where('uninstall_reported_at', 'is not', null)
        .executeTakeFirst()
      if (numUpdatedRows === 0n) return false
      if (subject.startsWith(COMPANY)) await markCompanyUninstalled(subject.slice(COMPANY.length), UNINSTALLED, at)
      return true
    },

    markCompanyUninstalled
  }
}
