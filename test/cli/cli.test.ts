import { readFileSync } from 'node:fs'
import t from 'tap'
import { credentialHash } from '../../src/grants/vault/credential-hash.ts'
import { install, issuedGrant } from '../grants/issued-grants.ts'
import { startCli } from '../support/cli.ts'
import { RECORD, startGateway, startSimulator, VAULT_KEYS } from '../support/harness.ts'

const PIT = 'pit-2a6f0c1e-1111-4222-8333-944455566677'

t.test('a new key is printed once, works at once, and is stored only as its hash', async (t) => {
  const simulator = await startSimulator(t)
  const gateway = await startGateway(t, { simulator })
  const { run } = await startCli(t, { DATABASE_URL: gateway.config.vault.url })

  const made = await run(['keys', 'create', '--name', 'Shop', '--locations', '*'])

  const key = /^rgk_[A-Za-z0-9_-]{43}$/m.exec(made.stdout)?.[0] ?? 'none'
  t.match(made, { code: 0, stderr: '', stdout: /\nKey key_[0-9a-f]{12} \(Shop\)\. It is not shown again\.\n$/ })
  t.equal((await gateway.patch({ properties: { customer_number: 8 } }, { key }, RECORD)).status, 200)
  t.match(await gateway.vault.findKey(credentialHash(key)), { name: 'Shop', locations: ['*'] })
  const path = gateway.config.vault.url.slice('sqlite:'.length)
  for (const file of [path, `${path}-wal`]) t.notOk(readFileSync(file).includes(key.slice(4, 20)), file)
})

t.test('keys are created, listed and revoked with JSON output, and no list shows a secret', async (t) => {
  const { json, run, vault } = await startCli(t)

  const made = await json('keys', 'create', '--name', 'Shop', '--locations', ' a, b ')
  const { id, key } = made.document as { id: string; key: string }
  const listed = await json('keys', 'list')
  const revoked = await json('keys', 'revoke', id)
  const table = await run(['keys', 'list'])

  t.strictSame(Object.keys(made.document), ['id', 'name', 'key'])
  t.match(await vault.listKeys(), [{ id, name: 'Shop', locations: ['a', 'b'], hash: credentialHash(key) }])
  t.strictSame(listed, {
    code: 0,
    document: {
      keys: [
        { id, name: 'Shop', locations: ['a', 'b'], createdAt: (await vault.listKeys())[0]?.createdAt, revokedAt: null }
      ]
    }
  })
  t.strictSame(revoked, { code: 0, document: { id, revoked: true } })
  t.match(table.stdout, new RegExp(`^ID +NAME +LOCATIONS +CREATED\n${id} +Shop +a,b +20\\S+Z +revoked 20\\S+Z\n$`))
  for (const shown of [JSON.stringify(listed), table.stdout]) {
    t.notOk(shown.includes(key.slice(4)))
    t.notOk(shown.includes(credentialHash(key)))
  }
})

t.test('unknown keys and locations exit with 1, and empty lists say so', async (t) => {
  const { json, run } = await startCli(t)

  const [keys, locations, revoked, shown, removed] = await Promise.all([
    run(['keys', 'list']),
    run(['locations', 'list']),
    run(['keys', 'revoke', 'key_none']),
    json('locations', 'show', 'one'),
    json('locations', 'remove', 'one')
  ])

  t.match(keys, { code: 0, stdout: 'There are no keys.\n' })
  t.match(locations, { code: 0, stdout: 'There are no locations.\n' })
  t.match(revoked, { code: 1, stdout: 'There is no key key_none.\n' })
  t.strictSame(shown, { code: 1, document: { id: 'one', found: false } })
  t.strictSame(removed, { code: 1, document: { id: 'one', removed: false } })
})

t.test('a private token is read from standard input as pasted, and never shown', async (t) => {
  const { json, run, vault } = await startCli(t)

  const added = await run(['locations', 'add-token', 'one'], `\r\n  ${PIT.slice(0, 10)}\r\n${PIT.slice(10)} \r\n\r\n`)
  const [list, show, ...documents] = await Promise.all([
    run(['locations', 'list']),
    run(['locations', 'show', 'one']),
    json('locations', 'list'),
    json('locations', 'show', 'one')
  ])

  t.match(added, { code: 0, stdout: 'Location one is connected with its private integration token.\n', stderr: '' })
  t.match(await vault.loadGrant('location:one'), {
    kind: 'private',
    generation: 1,
    tokens: { accessToken: PIT, expiresAt: null }
  })
  t.match(list.stdout, /^LOCATION +KIND +STATE +SINCE +WHY\none +private +connected +20\S+Z\n$/)
  t.match(
    show.stdout,
    /^id: one\nkind: private\ncompanyId: \nstate: connected\nsince: 20\S+Z\nreason: \nfailures: 0\nnextRenewalAt: \nexpiresAt: \nscopes: \n$/
  )
  const location = {
    id: 'one',
    kind: 'private',
    companyId: null,
    state: 'connected',
    reason: null,
    expiresAt: null,
    scopes: []
  }
  t.match(documents, [{ document: { locations: [location] } }, { document: location }])
  t.notMatch(JSON.stringify([added, list, show, documents]), PIT.slice(4, 12))
})

t.test('a new token replaces the stored one, and a removed location has none', async (t) => {
  const { json, run, vault } = await startCli(t)
  await vault.installGrant(issuedGrant('held'), install(1))

  await run(['locations', 'add-token', 'one'], PIT)
  const held = await vault.loadGrant('location:one')
  const removed = await json('locations', 'remove', 'one')
  const again = await run(['locations', 'remove', 'one'])

  t.match(held, { generation: 2, kind: 'private', tokens: { accessToken: PIT, refreshToken: undefined } })
  t.strictSame(removed, { code: 0, document: { id: 'one', removed: true } })
  t.match(again, { code: 1, stdout: 'There is no connected location one.\n' })
  t.match(await vault.loadGrant('location:one'), { state: 'uninstalled', stateReason: 'removed by an operator' })
})

t.test('as a process, the CLI reads a secret from standard input and exits with the right code', async (t) => {
  const { runProcess, vault } = await startCli(t)

  const added = await runProcess(['locations', 'add-token', 'one'], `${PIT}\r\n`)
  const wrong = await runProcess(['nonsense'])

  t.match(added, { code: 0, stderr: '' })
  t.match(await vault.loadGrant('location:one'), { tokens: { accessToken: PIT } })
  t.match(wrong, { code: 2, stdout: '', stderr: /^Unknown command\n/ })
})

t.test('vault rekey seals all grants with the first key, reports how many, and needs every key in use', async (t) => {
  const { run, vault } = await startCli(t)
  await vault.installGrant(issuedGrant('a'), install(1))
  await vault.installGrant(issuedGrant('b', { subject: 'location:two' }), install(1))
  const keys = { VAULT_KEYS: `k2:${Buffer.alloc(32, 2).toString('base64')},${VAULT_KEYS}` }

  const rekeyed = await run(['vault', 'rekey', '--json'], '', keys)
  const again = await run(['vault', 'rekey'], '', keys)
  const without = await run(['vault', 'rekey'])

  t.match(rekeyed, { code: 0, stderr: '', stdout: '{"key":"k2","resealed":2,"damaged":0}\n' })
  t.match(again, { code: 0, stdout: '0 grants were sealed with k2.\n' })
  t.match(without, { code: 1, stderr: /VAULT_KEYS lacks k2/ }, 'a key in use must be configured')
})
