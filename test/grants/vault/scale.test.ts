import { type CompiledQuery, Kysely } from 'kysely'
import t from 'tap'
import { createCipher } from '../../../src/grants/vault/cipher.ts'
import { createGrantQueries } from '../../../src/grants/vault/grants.ts'
import { createGrantLeases } from '../../../src/grants/vault/leases.ts'
import { openPostgres } from '../../../src/grants/vault/postgres.ts'
import { openSqlite } from '../../../src/grants/vault/sqlite.ts'
import type { Tables } from '../../../src/grants/vault/tables.ts'
import { createTokenStatus } from '../../../src/grants/vault/token-status.ts'
import { systemClock } from '../../../src/shared/clock.ts'
import { key, onEachDatabase, type TestDatabase } from '../../support/databases.ts'
import { issuedGrant, lease } from '../issued-grants.ts'

const GRANTS = 100_000
const NOW = 1_000_000_000

/** Inserts 100,000 grants that become due one after another. */
const insertGrants = ({ url, sql }: TestDatabase) => {
  const numbers = url.startsWith('sqlite:')
    ? `with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${GRANTS})`
    : `with numbers as (select n from generate_series(1, ${GRANTS}) n)`
  return sql(`${numbers} insert into grants
    (subject, kind, company_id, generation, sealed, key_id, scopes, state, state_since, event_at, due_at)
    select 'location:l' || n, 'oauth', 'company1', 1, 'k1.AAAA', 'k1', '', 'connected', 0, 0, ${NOW} + n * 1000 from numbers`)
}

/** The vault's own code on a connection that records each statement. */
function openRecorded({ url }: TestDatabase) {
  const queries: CompiledQuery[] = []
  const { dialect, skipsLocked } = url.startsWith('sqlite:')
    ? openSqlite(url.slice('sqlite:'.length), 'serving', systemClock)
    : openPostgres(url, 'serving', undefined)
  const db = new Kysely<Tables>({ dialect, log: ({ query }) => void queries.push(query) })
  const cipher = createCipher([key('k1', 1)])
  const store = {
    ...createGrantQueries(db, cipher),
    ...createGrantLeases(db, cipher, skipsLocked),
    ...createTokenStatus(db)
  }
  const explain = url.startsWith('sqlite:') ? 'explain query plan ' : 'explain '
  const planOf = async (query: CompiledQuery) => {
    const { rows } = await db.executeQuery<Record<string, unknown>>({ ...query, sql: explain + query.sql })
    return rows.map((row) => String(row['detail'] ?? row['QUERY PLAN'])).join('\n')
  }
  return { db, store, queries, planOf }
}

onEachDatabase(t, 'with 100,000 grants neither the renewal worker nor a call scans the table', async (t, database) => {
  await database.open()
  await insertGrants(database)
  await database.sql('analyze')
  const { db, store, queries, planOf } = openRecorded(database)
  t.teardown(() => db.destroy())

  await store.loadGrant('location:l7')
  await store.claimDue(lease('worker', NOW))
  const claimed = await store.claimDue(lease('worker', NOW + 1_500))
  await store.extendLease('location:l1', 'worker', NOW + 9_000)
  await store.claimGrant('location:l9', 1, lease('call', NOW))
  await store.saveIssued(issuedGrant('a', { subject: 'location:l9' }), 1)
  await store.markVerified('location:l9', 2, NOW)

  t.equal(claimed?.subject, 'location:l1')
  const plans = new Set(await Promise.all([...queries].map(planOf)))
  for (const plan of plans) {
    t.comment(plan)
    t.notMatch(plan, /seq scan|scan grants(?! using)/i)
  }
  const claimPlan = await planOf(queries[1] ?? (queries[0] as CompiledQuery))
  t.match(claimPlan, /grants_due_at/, 'due grants are read from their index')
})
