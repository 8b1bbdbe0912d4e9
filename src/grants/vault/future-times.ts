import type { ExpressionBuilder, Kysely } from 'kysely'
import { LEASE_MS } from '../leases.ts'
import { SKEW_MS } from '../renewal/schedule.ts'
import type { Tables } from './tables.ts'

/** No process extends a lease beyond this: one that ends later was written by a clock that has been set back since. */
const LONGEST_LEASE_MS = LEASE_MS + SKEW_MS

/** That no lease runs at `at`, as a condition of a query. */
export const isFree = (at: number) => (eb: ExpressionBuilder<Tables, 'grants'>) =>
  eb.or([eb('lease_until', 'is', null), eb('lease_until', '<=', at), eb('lease_until', '>', at + LONGEST_LEASE_MS)])

/** See `GrantStore.clearFutureTimes`. */
export async function clearFutureTimes(db: Kysely<Tables>, at: number): Promise<void> {
  await db
    .updateTable('grants')
    .set({ due_at: at, tried_at: at })
    .where('state', 'in', ['backing-off', 'paused'])
    .where('tried_at', '>', at + SKEW_MS)
    .where(isFree(at))
    .execute()
  await db
    .updateTable('grants')
    .set({ due_at: at, intent_at: at, lease_owner: null, lease_until: null })
    .where('intent_at', 'is not', null)
    .where(({ eb, or }) => or([eb('intent_at', '>', at + SKEW_MS), eb('lease_until', '>', at + LONGEST_LEASE_MS)]))
    .execute()
}
