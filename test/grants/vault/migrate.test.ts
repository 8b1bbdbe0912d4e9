import { Kysely } from 'kysely'
import { Migrator } from 'kysely/migration'
import t from 'tap'
import { createCipher } from '../../../src/grants/vault/cipher.ts'
import { grantsAndKeys } from '../../../src/grants/vault/migrations/001-grants-and-keys.ts'
import { openPostgres } from '../../../src/grants/vault/postgres.ts'
import { openSqlite } from '../../../src/grants/vault/sqlite.ts'
import { systemClock } from '../../../src/shared/clock.ts'
import { key, onEachDatabase, type TestDatabase } from '../../support/databases.ts'
import { install, issuedGrant, ONE, tokens } from '../issued-grants.ts'

const FIRST = { '001-grants-and-keys': grantsAndKeys }

/** Creates the tables of an earlier release, with an OAuth grant and a private one. */
async function createEarlierTables({ url }: TestDatabase) {
  const path = url.slice('sqlite:'.length)
  const { dialect } = url.startsWith('sqlite:')
    ? openSqlite(path, 'setup', systemClock)
    : openPostgres(url, 'setup', undefined)
  const db = new Kysely<Record<string, Record<string, unknown>>>({ dialect })
  await new Migrator({ db, provider: { getMigrations: async () => FIRST } }).migrateToLatest()
  const { seal } = createCipher([key('k1', 1)])
  for (const [subject, kind, expiresAt] of [
    [ONE, 'oauth', 90_000_000],
    ['location:pit', 'private', null]
  ] as const) {
    const sealed = seal(JSON.stringify(tokens('a')), `grants:${subject}`)
    const rest = { company_id: null, generation: 4, key_id: 'k1', scopes: '', state: 'connected', state_since: 1 }
    await db
      .insertInto('grants')
      .values({ subject, kind, sealed, expires_at: expiresAt, ...rest })
      .execute()
  }
  await db.destroy()
}

onEachDatabase(t, 'grants of an earlier release are kept, and are due before they expire', async (t, database) => {
  await createEarlierTables(database)

  const vault = await database.open()

  t.match(await vault.loadGrant(ONE), {
    generation: 4,
    verified: true,
    dueAt: 72_720_000,
    tokens: { accessToken: 'a' }
  })
  t.match(await vault.loadGrant('location:pit'), { dueAt: null })
  t.match(await database.sql('select name from kysely_migration order by name'), [
    { name: '001-grants-and-keys' },
    { name: '002-leases-and-webhooks' },
    { name: '003-installs-and-uninstalls' }
  ])
})

onEachDatabase(
  t,
  'processes that open a new vault at the same moment all succeed, and migrate it once',
  async (t, database) => {
    const opened = await Promise.allSettled(Array.from({ length: 6 }, () => database.open()))

    t.strictSame(
      opened.map((outcome) => (outcome.status === 'fulfilled' ? 'open' : String(outcome.reason))),
      Array(6).fill('open')
    )
    t.equal((await database.sql('select name from kysely_migration')).length, 3)
  }
)

onEachDatabase(t, 'a reopened vault still holds everything', async (t, database) => {
  const first = await database.open()
  await first.installGrant(issuedGrant('a'), install(1))
  await first.addKey({ id: 'key_1', name: 'One', hash: 'hash-1', locations: ['*'] })
  await first.close()

  for (const vault of [await database.open(), await database.open()]) {
    t.match(await vault.loadGrant(ONE), { generation: 1, tokens: { accessToken: 'a' } })
    t.match(await vault.listKeys(), [{ id: 'key_1' }])
  }
})

onEachDatabase(t, 'a release that is older than the tables does not start, and says why', async (t, database) => {
  await database.open()
  await database.sql("insert into kysely_migration (name, timestamp) values ('004-of-tomorrow', '2027-01-01')")

  await t.rejects(database.open(), {
    name: 'SchemaError',
    message: 'The database belongs to a newer release (004-of-tomorrow): run that release or a later one'
  })
})

onEachDatabase(t, 'if a migration fails, the missing migrations are named and none is applied', async (t, database) => {
  await createEarlierTables(database)
  // The migration fails because a table that it creates exists already.
  await database.sql('create table webhooks (id text)')

  await t.rejects(database.open(), {
    name: 'SchemaError',
    message:
      /^The database lacks 002-leases-and-webhooks, 003-installs-and-uninstalls and cannot be migrated: .*webhooks/
  })
  t.notOk(JSON.stringify(await database.sql('select * from grants')).includes('due_at'), 'no part of it was applied')
})
