import t, { type Test } from 'tap'
import { openVault } from '../../../src/grants/vault/open.ts'
import { key, sql } from '../../support/databases.ts'
import { hasPgBouncer, NO_PGBOUNCER, startPgBouncer } from '../../support/pgbouncer.ts'
import { NO_POSTGRES, postgresClient, postgresDatabase } from '../../support/postgres.ts'
import { install, issuedGrant, lease, ONE } from '../issued-grants.ts'

const KEYS = [key('k1', 1)]

/** The same guarantee with each pool mode of PgBouncer. */
function throughPgBouncer(guarantee: string, prove: (t: Test, urls: { url: string; direct: string }) => Promise<void>) {
  for (const [mode, settings] of [
    ['with default settings', {}],
    ['in transaction mode', { pool_mode: 'transaction', default_pool_size: 3 }]
  ] as const) {
    t.test(`${guarantee} (PgBouncer ${mode})`, async (t) => {
      const direct = await postgresDatabase(t)
      if (direct === undefined) return void t.pass('not run', { skip: NO_POSTGRES })
      if (!hasPgBouncer()) return void t.pass('not run', { skip: NO_PGBOUNCER })
      await prove(t, { direct, url: await startPgBouncer(t, direct, settings) })
    })
  }
}

const open = async (t: Test, url: string) => {
  const vault = await openVault(url, KEYS)
  t.teardown(() => vault.close())
  return vault
}

throughPgBouncer('grants are stored, claimed by one process, and saved', async (t, { url }) => {
  const vault = await open(t, url)

  await vault.installGrant(issuedGrant('a', { dueAt: 0 }), install(1))
  const claims = await Promise.all(['x', 'y', 'z'].map((owner) => vault.claimDue(lease(owner, 1))))
  const saved = await vault.saveIssued(issuedGrant('b'), 1)

  t.equal(claims.filter((claim) => claim !== undefined).length, 1)
  t.equal(saved, true)
  t.match(await vault.loadGrant(ONE), { generation: 2, tokens: { accessToken: 'b' } })
})

throughPgBouncer('the server aborts a statement that waits too long for a lock', async (t, { url, direct }) => {
  const vault = await open(t, url)
  const locker = await postgresClient(t, direct)
  await locker.query('begin; lock table grants in exclusive mode')

  await t.rejects(vault.installGrant(issuedGrant('a'), install(1)), { code: '57014' })

  await locker.query('rollback')
  t.equal(await vault.loadGrant(ONE), undefined)
})

throughPgBouncer('processes that start together migrate once and leave no lock behind', async (t, { url, direct }) => {
  const opened = await Promise.allSettled(Array.from({ length: 4 }, () => open(t, url)))

  t.strictSame(
    opened.map((outcome) => (outcome.status === 'fulfilled' ? 'open' : String(outcome.reason))),
    Array(4).fill('open')
  )
  const locks = `select 1 from pg_locks join pg_database d on d.oid = database
    where locktype = 'advisory' and datname = current_database()`
  t.strictSame(await sql(direct, locks), [])
})
