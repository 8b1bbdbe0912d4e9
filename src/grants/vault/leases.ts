import type { Kysely, UpdateResult } from 'kysely'
import type { Grant, Lease } from '../grant.ts'
import type { Cipher } from './cipher.ts'
import { clearFutureTimes, isFree } from './future-times.ts'
import { grantOf, issuedRow } from './rows.ts'
import type { Tables } from './tables.ts'
import { afterRenewal } from './uninstalls.ts'
import type { GrantStore } from './vault.ts'

type GrantLeases = Pick<
  GrantStore,
  | 'claimGrant'
  | 'claimDue'
  | 'claimUnknownOutcome'
  | 'clearFutureTimes'
  | 'extendLease'
  | 'saveIssued'
  | 'recordFailure'
>

const isOne = ({ numUpdatedRows }: UpdateResult) => numUpdatedRows === 1n

/**
 * How processes share the renewal of grants. Each method is one UPDATE: its WHERE is the condition under which the
 * transition of docs/tokens.md is allowed, and the database decides who was first.
 */
export function createGrantLeases(db: Kysely<Tables>, cipher: Cipher, skipsLocked: boolean): GrantLeases {
  /** `due_at` moves with the lease: where its owner dies, the grant is due when the lease ends. */
  const claim = ({ owner, at, until }: Lease) =>
    db
      .updateTable('grants')
      .set(({ fn }) => ({
        lease_owner: owner,
        lease_until: until,
        due_at: until,
        intent_at: at,
        prior_intent_at: fn.coalesce('intent_at', 'prior_intent_at')
      }))
      .returningAll()

  /** What is due and nobody's, and what this process can open: the key of a row may be one that only others have. */
  const due = (at: number) =>
    db
      .selectFrom('grants')
      .select('subject')
      .where('due_at', '<=', at)
      .where(isFree(at))
      .where(({ eb, or }) => or([eb('key_id', 'is', null), eb('key_id', 'in', cipher.keyIds)]))
      .limit(1)

  const claimFirst = async (lease: Lease, first: ReturnType<typeof due>): Promise<Grant | undefined> => {
    const free = skipsLocked ? first.forUpdate().skipLocked() : first
    const row = await claim(lease).where('subject', '=', free).executeTakeFirst()
    return row && grantOf(cipher, row)
  }

  return {
    async claimGrant(subject, generation, lease) {
      const row = await claim(lease)
        .where('subject', '=', subject)
        .where('generation', '=', generation)
        .where('state', 'not in', ['reconnect-required', 'uninstalled'])
        .where(isFree(lease.at))
        .executeTakeFirst()
      return row && grantOf(cipher, row)
    },

    claimDue: (lease) => claimFirst(lease, due(lease.at).orderBy('due_at')),

    claimUnknownOutcome: (lease, since) =>
      claimFirst(lease, due(lease.at).where('kind', '=', 'oauth').where('intent_at', '>', since).orderBy('intent_at')),

    clearFutureTimes: (at) => clearFutureTimes(db, at),

    async extendLease(subject, owner, until) {
      const extended = await db
        .updateTable('grants')
        .set({ lease_until: until, due_at: until })
        .where('subject', '=', subject)
        .where('lease_owner', '=', owner)
        .executeTakeFirst()
      return isOne(extended)
    },

    async saveIssued(fruit, after) {
      const saved = await db
        .updateTable('grants')
        .set((eb) => ({ ...issuedRow(cipher, fruit), ...afterRenewal(eb, fruit), generation: after + 1 }))
        .where('subject', '=', fruit.subject)
        .where('generation', '=', after)
        .executeTakeFirst()
      return isOne(saved)
    },

    async recordFailure(subject, generation, owner, setback) {
      const noted = await db
        .updateTable('grants')
        .set({
          state: setback.state,
          state_since: setback.stateSince,
          state_reason: setback.stateReason,
          failures: setback.failures,
          due_at: setback.dueAt,
          tried_at: setback.triedAt,
          intent_at: setback.intentAt,
          lease_owner: null,
          lease_until: null
        })
        .where('subject', '=', subject)
        .where('generation', '=', generation)
        .where('lease_owner', '=', owner)
        .executeTakeFirst()
      return isOne(noted)
    }
  }
}
