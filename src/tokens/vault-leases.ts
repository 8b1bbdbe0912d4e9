import type { Kysely, UpdateResult } from 'kysely'
import type { Cipher } from './cipher.ts'
import { fruitRow, grantOf, unclaimed } from './grant-rows.ts'
import type { GrantStore, Lease } from './vault.ts'
import type { Tables } from './vault-schema.ts'

type GrantLeases = Pick<GrantStore, 'claimGrant' | 'claimDue' | 'extendLease' | 'saveFruit' | 'noteSetback'>

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
      .set(({ fn, val }) => ({
        lease_owner: owner,
        lease_until: until,
        due_at: until,
        intent_at: fn.coalesce('intent_at', val(at))
      }))
      .returningAll()

  return {
    async claimGrant(subject, generation, lease) {
      const row = await claim(lease)
        .where('subject', '=', subject)
        .where('generation', '=', generation)
        .where('state', 'not in', ['reconnect-required', 'uninstalled'])
        .where(({ eb, or }) => or([eb('lease_until', 'is', null), eb('lease_until', '<=', lease.at)]))
        .executeTakeFirst()
      return row && grantOf(cipher, row)
    },

    async claimDue(lease) {
      const due = db
        .selectFrom('grants')
        .select('subject')
        .where('due_at', '<=', lease.at)
        .where(({ eb, or }) => or([eb('key_id', 'is', null), eb('key_id', 'in', cipher.keyIds)]))
        .where(({ eb, or }) => or([eb('lease_until', 'is', null), eb('lease_until', '<=', lease.at)]))
        .orderBy('due_at')
        .limit(1)
      const free = skipsLocked ? due.forUpdate().skipLocked() : due
      const row = await claim(lease).where('subject', '=', free).executeTakeFirst()
      return row && grantOf(cipher, row)
    },

    async extendLease(subject, owner, until) {
      const extended = await db
        .updateTable('grants')
        .set({ lease_until: until, due_at: until })
        .where('subject', '=', subject)
        .where('lease_owner', '=', owner)
        .executeTakeFirst()
      return isOne(extended)
    },

    async saveFruit(fruit, after) {
      const saved = await db
        .updateTable('grants')
        .set({ ...fruitRow(cipher, fruit), generation: after + 1 })
        .where('subject', '=', fruit.subject)
        .where('generation', '=', after)
        .executeTakeFirst()
      return isOne(saved)
    },

    async noteSetback(subject, generation, owner, { state, stateSince, stateReason, failures, dueAt, triedAt }) {
      const noted = await db
        .updateTable('grants')
        .set({
          state,
          state_since: stateSince,
          state_reason: stateReason,
          failures,
          due_at: dueAt,
          tried_at: triedAt,
          ...unclaimed
        })
        .where('subject', '=', subject)
        .where('generation', '=', generation)
        .where('lease_owner', '=', owner)
        .executeTakeFirst()
      return isOne(noted)
    }
  }
}
