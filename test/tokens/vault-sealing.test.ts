import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { grant, key, vaultFile } from './vault-file.ts'

const [K1, K2] = [key('k1', 1), key('k2', 2)]

t.test('no file of the vault holds a token in clear', async (t) => {
  const file = vaultFile(t)
  const vault = await file.open()

  await vault.saveGrant(grant('clear-access-token'), 0)
  await vault.saveGrant(grant('clear-access-token-2'), 1)

  const folder = dirname(file.path)
  const names = readdirSync(folder).sort()
  t.strictSame(names, ['gateway.db', 'gateway.db-shm', 'gateway.db-wal'])
  const bytes = Buffer.concat(names.map((name) => readFileSync(join(folder, name))))
  t.ok(bytes.includes('location:one'), 'the row is in what was searched')
  for (const secret of ['clear-access', Buffer.from('clear-access').toString('base64url')])
    t.notOk(bytes.includes(secret), secret)
})

t.test('the folder that is made for a vault is its user’s alone', async (t) => {
  const file = vaultFile(t)

  await file.open()

  t.equal(statSync(dirname(file.path)).mode & 0o777, 0o700)
})

t.test('a saved grant outlives a power cut: the log is written ahead, and out before a save resolves', async (t) => {
  const file = vaultFile(t)
  const pragmas = t.capture(Database.prototype, 'pragma', Database.prototype.pragma)

  await file.open()

  const [connection] = pragmas().map(({ receiver }) => receiver as unknown as Database.Database)
  const FULL = 2
  t.equal(connection?.pragma('journal_mode', { simple: true }), 'wal')
  t.equal(connection?.pragma('synchronous', { simple: true }), FULL)
})

t.test('a vault does not open without a key under which grants are sealed, and names it', async (t) => {
  const file = vaultFile(t)
  const vault = await file.open(K1)
  await vault.saveGrant(grant('a'), 0)

  await t.rejects(file.open(K2), {
    name: 'CipherError',
    message: 'VAULT_KEYS lacks k1: grants are sealed under it'
  })
})

t.test('a key may leave once no grant is sealed under it', async (t) => {
  const file = vaultFile(t)
  const vault = await file.open(K1)
  await vault.saveGrant(grant('a'), 0)
  await vault.forgetGrant('location:one', 'removed')

  const opened = await file.open(K2)

  t.match(await opened.loadGrant('location:one'), { generation: 2, tokens: null })
})

t.test(
  'another key under the id of the one that sealed does not open the vault, even one without grants',
  async (t) => {
    const file = vaultFile(t)
    await file.open(K1)

    for (const keys of [[key('k1', 9)], [K2, key('k1', 9)]])
      await t.rejects(file.open(...keys), { name: 'CipherError', message: /does not open under the key k1$/ })
  }
)

t.test('the vault opens again with the right key after a wrong one was refused', async (t) => {
  const file = vaultFile(t)
  const vault = await file.open(K1)
  await vault.saveGrant(grant('a'), 0)
  await t.rejects(file.open(key('k1', 9)))

  const opened = await file.open(K1)

  t.match(await opened.loadGrant('location:one'), { tokens: { accessToken: 'a' } })
})

t.test('with a second key in front, old grants open and new saves are sealed under the new key', async (t) => {
  const file = vaultFile(t)
  const before = await file.open(K1)
  await before.saveGrant(grant('old'), 0)
  await before.saveGrant(grant('other', { subject: 'location:two' }), 0)

  const vault = await file.open(K2, K1)
  const old = await vault.loadGrant('location:one')
  await vault.saveGrant(grant('new'), 1)

  t.match(old, { tokens: { accessToken: 'old' } })
  t.match(await vault.loadGrant('location:one'), { tokens: { accessToken: 'new' } })
  t.match(file.sql('select key_id, sealed from grants order by subject'), [
    { key_id: 'k2', sealed: /^k2\./ },
    { key_id: 'k1', sealed: /^k1\./ }
  ])
})

t.test('what is sealed for one row does not open in another', async (t) => {
  const file = vaultFile(t)
  const vault = await file.open()
  await vault.saveGrant(grant('a'), 0)
  await vault.saveGrant(grant('b', { subject: 'location:two' }), 0)

  file.sql(
    "update grants set sealed = (select sealed from grants where subject = 'location:two') where subject = 'location:one'"
  )

  t.match(await vault.loadGrant('location:one'), {
    tokens: null,
    state: 'reconnect-required',
    stateReason: 'What is sealed for grants:location:one does not open under the key k1'
  })
  t.match(await vault.loadGrant('location:two'), { tokens: { accessToken: 'b' } })
})

t.test('a vault that cannot be opened leaves no connection behind', async (t) => {
  const file = vaultFile(t)
  await file.open(K1)
  const closed = t.capture(Database.prototype, 'close', Database.prototype.close)

  await t.rejects(file.open(key('k1', 9)))

  t.equal(closed().length, 1)
})
