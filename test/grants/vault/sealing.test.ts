import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { key, onEachDatabase, openTestDatabase, type TestDatabase } from '../../support/databases.ts'
import { NO_POSTGRES } from '../../support/postgres.ts'
import { install, issuedGrant, lease, ONE, tokens } from '../issued-grants.ts'

const [K1, K2] = [key('k1', 1), key('k2', 2)]
const AT = 1_500

/** Everything that a thief of the database would have: its files, or every row of every table. */
async function readEverything({ url, sql }: TestDatabase): Promise<Buffer> {
  if (!url.startsWith('sqlite:')) {
    const rows = []
    for (const table of ['grants', 'api_keys', 'vault_keys', 'webhooks']) rows.push(await sql(`select * from ${table}`))
    return Buffer.from(JSON.stringify(rows))
  }
  const folder = dirname(url.slice('sqlite:'.length))
  return Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))))
}

onEachDatabase(t, 'no token is stored in clear', async (t, database) => {
  const vault = await database.open()

  await vault.installGrant(issuedGrant('clear-access-token'), install(AT))
  const rotated = { ...tokens('clear-access-token-2'), previousRefreshToken: 'clear-access-token-refresh' }
  await vault.saveIssued(issuedGrant('', { tokens: rotated }), 1)

  const bytes = await readEverything(database)
  t.ok(bytes.includes(ONE), 'the searched bytes include the row')
  for (const secret of ['clear-access', Buffer.from('clear-access').toString('base64url')])
    t.notOk(bytes.includes(secret), secret)
})

onEachDatabase(t, 'tokens sealed for one row do not open in another', async (t, { open, sql }) => {
  const vault = await open()
  await vault.installGrant(issuedGrant('a'), install(AT))
  await vault.installGrant(issuedGrant('b', { subject: 'location:two' }), install(AT))

  await sql(
    "update grants set sealed = (select sealed from grants where subject = 'location:two') where subject = 'location:one'"
  )

  t.match(await vault.loadGrant(ONE), {
    tokens: null,
    state: 'reconnect-required',
    stateReason: 'The value sealed for grants:location:one cannot be opened with key k1'
  })
  t.match(await vault.loadGrant('location:two'), { tokens: { accessToken: 'b' } })
})

onEachDatabase(t, 'a vault does not open if a key in use is missing, and names the key', async (t, { open }) => {
  const vault = await open(K1)
  await vault.installGrant(issuedGrant('a'), install(AT))

  await t.rejects(open(K2), { name: 'CipherError', message: 'VAULT_KEYS lacks k1: grants are sealed with it' })
})

onEachDatabase(t, 'a key can be removed once no grant is sealed with it', async (t, { open }) => {
  const vault = await open(K1)
  await vault.installGrant(issuedGrant('a'), install(AT))
  await vault.markUninstalled(ONE, 'removed', AT)

  const opened = await open(K2)

  t.match(await opened.loadGrant(ONE), { generation: 2, tokens: null })
})

onEachDatabase(t, 'a different key with a known id does not open the vault, even an empty one', async (t, { open }) => {
  await open(K1)

  for (const keys of [[key('k1', 9)], [K2, key('k1', 9)]])
    await t.rejects(open(...keys), { name: 'CipherError', message: /cannot be opened with key k1$/ })
  t.ok(await open(K1), 'the right key still does')
})

onEachDatabase(
  t,
  'rekeying seals every row with the first key while others save, and the old key can then be removed',
  async (t, { open, sql }) => {
    const old = await open(K1)
    for (let n = 0; n < 250; n += 1)
      await old.installGrant(issuedGrant(`t${n}`, { subject: `location:l${n}` }), install(AT))
    await old.markUninstalled('location:l7', 'gone', AT)
    const rekeying = await open(K2, K1)

    const [counts] = await Promise.all([
      rekeying.rekeyGrants(),
      rekeying.saveIssued(issuedGrant('renewed', { subject: 'location:l3' }), 1),
      rekeying.loadGrant('location:l4')
    ])
    await old.close()
    const without = await open(K2)

    t.equal(counts.damaged, 0)
    t.ok(counts.resealed >= 248, `${counts.resealed}`)
    t.strictSame(await sql('select distinct key_id from grants where key_id is not null'), [{ key_id: 'k2' }])
    t.match(await without.loadGrant('location:l3'), { generation: 2, tokens: { accessToken: 'renewed' } })
    t.match(await without.loadGrant('location:l249'), { generation: 1, tokens: { accessToken: 't249' } })
    t.strictSame(await rekeying.rekeyGrants(), { resealed: 0, damaged: 0 })
  }
)

onEachDatabase(t, 'rekeying skips a row that does not open, and counts it', async (t, { open, sql }) => {
  const old = await open(K1)
  await old.installGrant(issuedGrant('a'), install(AT))
  await old.installGrant(issuedGrant('b', { subject: 'location:two' }), install(AT))
  await sql("update grants set sealed = 'k1.AAAA' where subject = 'location:one'")

  const vault = await open(K2, K1)

  t.strictSame(await vault.rekeyGrants(), { resealed: 1, damaged: 1 })
})

onEachDatabase(
  t,
  'with a new first key, old grants still open and new saves are sealed with the new key',
  async (t, { open, sql }) => {
    const before = await open(K1)
    await before.installGrant(issuedGrant('old'), install(AT))
    await before.installGrant(issuedGrant('other', { subject: 'location:two' }), install(AT))

    const vault = await open(K2, K1)
    const old = await vault.loadGrant(ONE)
    await vault.saveIssued(issuedGrant('new'), 1)

    t.match(old, { tokens: { accessToken: 'old' } })
    t.match(await vault.loadGrant(ONE), { tokens: { accessToken: 'new' } })
    t.match(await sql('select key_id, sealed from grants order by subject'), [
      { key_id: 'k2', sealed: /^k2\./ },
      { key_id: 'k1', sealed: /^k1\./ }
    ])
  }
)

t.test('a dump of PostgreSQL contains no token', async (t) => {
  const database = await openTestDatabase(t, 'postgres')
  if (database === undefined) return void t.pass('not run', { skip: NO_POSTGRES })
  const vault = await database.open()
  await vault.installGrant(issuedGrant('clear-access-token'), install(AT))

  const { status, stdout } = spawnSync('pg_dump', ['--inserts', database.url], { encoding: 'utf8' })

  t.equal(status, 0, 'pg_dump is on the PATH')
  t.match(stdout, /location:one/)
  t.notMatch(stdout, /clear-access/)
})

t.test('the folder created for a vault is accessible to its owner only', async (t) => {
  const database = await openTestDatabase(t, 'sqlite')

  await database?.open()

  t.equal(statSync(dirname((database?.url ?? '').slice('sqlite:'.length))).mode & 0o777, 0o700)
})

t.test('a saved grant survives a power cut: the write-ahead log is synced before a save resolves', async (t) => {
  const database = await openTestDatabase(t, 'sqlite')
  const pragmas = t.capture(Database.prototype, 'pragma', Database.prototype.pragma)

  await database?.open()

  const connection = pragmas().at(-1)?.receiver as unknown as Database.Database
  const FULL = 2
  t.equal(connection.pragma('journal_mode', { simple: true }), 'wal')
  t.equal(connection.pragma('synchronous', { simple: true }), FULL)
})

t.test('a vault that cannot be opened leaves no connection open', async (t) => {
  const database = await openTestDatabase(t, 'sqlite')
  await database?.open(K1)
  const closed = t.capture(Database.prototype, 'close', Database.prototype.close)

  await t.rejects(async () => database?.open(key('k1', 9)))

  t.equal(closed().length, 1)
})

onEachDatabase(
  t,
  'a grant sealed with a key that this process lacks is left to the processes that have the key',
  async (t, { open }) => {
    const behind = await open(K1)
    const ahead = await open(K2, K1)
    await ahead.installGrant(issuedGrant('new', { dueAt: 1 }), install(AT))

    await t.rejects(behind.loadGrant(ONE), { name: 'CipherError', message: 'VAULT_KEYS lacks the key k2' })
    t.equal(await behind.claimDue(lease('behind', AT)), undefined)
    t.match(await ahead.claimDue(lease('ahead', AT)), {
      leaseOwner: 'ahead',
      state: 'connected',
      tokens: { accessToken: 'new' }
    })
  }
)
