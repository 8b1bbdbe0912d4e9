import type { ExpressionBuilder, Kysely, UpdateResult } from 'kysely'
import type { Grant, Lease } from '../grant.ts'
import { LEASE_MS } from '../leases.ts'
import { SKEW_MS } from '../renewal/schedule.ts'
import type { Cipher } from './cipher.ts'
import { issuedColumns, toGrant } from './rows.ts'
import type { Tables } from './tables.ts'
import { renewalColumns } from './uninstalls.ts'
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

/** No lease ends later than this. One that does was written by a clock that has since been set back. */
const LONGEST_LEASE_MS = LEASE_MS + SKEW_MS

/** A query condition: no lease runs at `at`. */
const isUnleased = (at: number) => (eb: ExpressionBuilder<Tables, 'grants'>) =>
  eb.or([eb('lease_until', 'is', null), eb('lease_until', '<=', at), eb('lease_until', '>', at + LONGEST_LEASE_MS)])

const updatedOne = ({ numUpdatedRows }: UpdateResult) => numUpdatedRows === 1n

/** See `GrantStore.clearFutureTimes`. */
async function clearFutureTimes(db: Kysely<Tables>, at: number): Promise<void> {
  await db
    .updateTable('grants')
    .set({ due_at: at, tried_at: at })
    .where('state', 'in', ['backing-off', 'paused'])
    .where('tried_at', '>', at + SKEW_MS)
    .where(isUnleased(at))
    .execute()
  await db
    .updateTable('grants')
    .set({ due_at: at, intent_at: at, lease_owner: null, lease_until: null })
    .where('intent_at', 'is not', null)
    .where(({ eb, or }) => or([eb('intent_at', '>', at + SKEW_MS), eb('lease_until', '>', at + LONGEST_LEASE_MS)]))
    .execute()
}

/**
 * How processes share the renewal of grants. Each method except `clearFutureTimes` is one UPDATE. Its WHERE clause is
 * the condition under which docs/tokens.md allows the transition, so the database decides which process was first.
 */
export function createGrantLeases(db: Kysely<Tables>, cipher: Cipher, skipsLocked: boolean): GrantLeases {
  /** `due_at` moves with the lease: if the owner dies, the grant is due when the lease ends. */
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

  /** One grant that is due, unleased, and not sealed with a key that only other processes have. */
  const due = (at: number) =>
    db
      .selectFrom('grants')
      .select('subject')
      .where('due_at', '<=', at)
      .where(isUnleased(at))
      .where(({ eb, or }) => or([eb('key_id', 'is', null), eb('key_id', 'in', cipher.keyIds)]))
      .limit(1)

  const claimFirst = async (lease: Lease, candidates: ReturnType<typeof due>): Promise<Grant | undefined> => {
    const candidate = skipsLocked ? candidates.forUpdate().skipLocked() : candidates
    const row = await claim(lease).where('subject', '=', candidate).executeTakeFirst()
    return row && toGrant(cipher, row)
  }

  return {
    async claimGrant(subject, generation, lease) {
      const row = await claim(lease)
        .where('subject', '=', subject)
        .where('generation', '=', generation)
        .where('state', 'not in', ['reconnect-required', 'uninstalled'])
        .where(isUnleased(lease.at))
        .executeTakeFirst()
      return row && toGrant(cipher, row)
    },

    claimDue: (lease) => claimFirst(lease, due(lease.at).orderBy('due_at')),

    claimUnknownOutcome: (lease, since) =>
      claimFirst(lease, due(lease.at).where('kind', '=', 'oauth').where('intent_at', '>', since).orderBy('intent_at')),

    clearFutureTimes: (at) => clearFutureTimes(db, at),

    async extendLease(subject, owner, until) {
      const result = await db
        .updateTable('grants')
        .set({ lease_until: until, due_at: until })
        .where('subject', '=', subject)
        .where('lease_owner', '=', owner)
        .executeTakeFirst()
      return updatedOne(result)
    },

    async saveIssued(issued, generation) {
      const result = await db
        .updateTable('grants')
        .set((eb) => ({ ...issuedColumns(cipher, issued), ...renewalColumns(eb, issued), generation: generation + 1 }))
        .where('subject', '=', issued.subject)
        .where('generation', '=', generation)
        .executeTakeFirst()
      return updatedOne(result)
    },

    async recordFailure(subject, generation, owner, failure) {
      const result = await db
        .updateTable('grants')
        .set({
          state: failure.state,
          state_since: failure.stateSince,
          state_reason: failure.stateReason,
          failures: failure.failures,
          due_at: failure.dueAt,
          tried_at: failure.triedAt,
          intent_at: failure.intentAt,
          lease_owner: null,
          lease_until: null
        })
        .where('subject', '=', subject)
        .where('generation', '=', generation)
        .where('lease_owner', '=', owner)
        .executeTakeFirst()
      return updatedOne(result)
    }
  }
}
