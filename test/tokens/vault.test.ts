import t from 'tap'
import { grant, vaultFile } from './vault-file.ts'

t.test('a grant is loaded as it was saved, one generation on', async (t) => {
  const vault = await vaultFile(t).open()
  const paused = grant('b', { subject: 'company:two', companyId: null, state: 'paused', stateReason: 'not active' })
  const bare = grant('c', { subject: 'location:bare', kind: 'minted', tokens: null })
  const fixed = grant('d', { subject: 'location:fixed', tokens: { accessToken: 'd', expiresAt: null, issuedAt: 1 } })

  for (const one of [grant('a'), paused, bare, fixed]) {
    t.equal(await vault.saveGrant(one, 0), true)
    t.strictSame(await vault.loadGrant(one.subject), { ...one, generation: 1 })
  }
  t.equal(await vault.loadGrant('location:unknown'), undefined)
})

t.test('of two saves after the same generation one wins, and the other changes nothing', async (t) => {
  const vault = await vaultFile(t).open()

  const first = await Promise.all([vault.saveGrant(grant('a'), 0), vault.saveGrant(grant('b'), 0)])
  const second = await Promise.all([vault.saveGrant(grant('c'), 1), vault.saveGrant(grant('d'), 1)])

  t.strictSame(
    [first, second],
    [
      [true, false],
      [true, false]
    ]
  )
  t.match(await vault.loadGrant('location:one'), { generation: 2, tokens: { accessToken: 'c' } })
})

t.test('a save after a generation that the store does not hold changes nothing', async (t) => {
  const vault = await vaultFile(t).open()
  const onNothing = await vault.saveGrant(grant('a'), 1)
  await vault.saveGrant(grant('b'), 0)

  t.strictSame(
    [onNothing, await vault.saveGrant(grant('c'), 0), await vault.saveGrant(grant('d'), 2)],
    [false, false, false]
  )
  t.match(await vault.loadGrant('location:one'), { generation: 1, tokens: { accessToken: 'b' } })
})

t.test('two connections to one file see each other’s saves and never overwrite one another', async (t) => {
  const file = vaultFile(t)
  const [one, two] = [await file.open(), await file.open()]
  await one.saveGrant(grant('a'), 0)

  const outcomes = [await two.saveGrant(grant('b'), 1), await one.saveGrant(grant('c'), 1)]

  t.strictSame(outcomes, [true, false])
  t.match(await one.loadGrant('location:one'), { generation: 2, tokens: { accessToken: 'b' } })
})

t.test('a forgotten grant has no tokens, says why, and cannot be brought back by a save under way', async (t) => {
  const file = vaultFile(t)
  const vault = await file.open()
  await vault.saveGrant(grant('a'), 0)
  file.clock.move(60_000)

  const forgotten = await vault.forgetGrant('location:one', 'uninstalled by a person')
  const lateSave = await vault.saveGrant(grant('b'), 1)

  t.strictSame([forgotten, lateSave], [true, false])
  t.match(await vault.loadGrant('location:one'), {
    generation: 2,
    tokens: null,
    state: 'uninstalled',
    stateSince: file.clock.now(),
    stateReason: 'uninstalled by a person'
  })
  t.strictSame(file.sql('select sealed, key_id, expires_at from grants'), [
    { sealed: null, key_id: null, expires_at: null }
  ])
})

t.test('forgetting what is forgotten or was never there changes nothing, and a new install follows', async (t) => {
  const vault = await vaultFile(t).open()
  await vault.saveGrant(grant('a'), 0)
  await vault.forgetGrant('location:one', 'first')

  const again = [await vault.forgetGrant('location:one', 'second'), await vault.forgetGrant('location:two', 'never')]

  t.strictSame(again, [false, false])
  t.match(await vault.loadGrant('location:one'), { generation: 2, stateReason: 'first' })
  t.equal(await vault.saveGrant(grant('b'), 2), true)
  t.match(await vault.loadGrant('location:one'), { generation: 3, state: 'connected', tokens: { accessToken: 'b' } })
})

t.test('the list shows the grants of one kind of subject in order, and no token', async (t) => {
  const vault = await vaultFile(t).open()
  for (const subject of ['location:b', 'company:c', 'location:a'] as const)
    await vault.saveGrant(grant('s', { subject }), 0)
  await vault.saveGrant(grant('s', { subject: 'location:none', tokens: null }), 0)

  const listed = await vault.listGrants('location:')

  const { tokens: _, ...rest } = grant('s')
  t.strictSame(listed, [
    { ...rest, subject: 'location:a', generation: 1, expiresAt: 2_000 },
    { ...rest, subject: 'location:b', generation: 1, expiresAt: 2_000 },
    { ...rest, subject: 'location:none', generation: 1, expiresAt: null }
  ])
  t.match(await vault.listGrants('company:'), [{ subject: 'company:c' }])
})

t.test('a key is found by its hash alone, and neither its id nor its hash can be added twice', async (t) => {
  const file = vaultFile(t)
  const vault = await file.open()
  const one = { id: 'key_1', name: 'One', hash: 'hash-1', locations: ['a', 'b'] }
  await vault.addKey(one)
  file.clock.move(1)
  await vault.addKey({ id: 'key_0', name: 'Two', hash: 'hash-2', locations: ['*'] })

  await t.rejects(vault.addKey({ ...one, hash: 'hash-3' }), { code: 'SQLITE_CONSTRAINT_PRIMARYKEY' })
  await t.rejects(vault.addKey({ ...one, id: 'key_3' }), { code: 'SQLITE_CONSTRAINT_UNIQUE' })

  t.strictSame(await vault.findKey('hash-1'), { ...one, createdAt: file.clock.now() - 1, revokedAt: null })
  t.strictSame([await vault.findKey('key_1'), await vault.findKey('HASH-1')], [undefined, undefined])
  t.match(await vault.listKeys(), [{ id: 'key_1' }, { id: 'key_0' }])
})

t.test('a revoked key keeps the time of its first revocation, and an unknown id is said to be unknown', async (t) => {
  const file = vaultFile(t)
  const vault = await file.open()
  await vault.addKey({ id: 'key_1', name: 'One', hash: 'hash-1', locations: ['*'] })
  const revokedAt = file.clock.now()

  const first = await vault.revokeKey('key_1')
  file.clock.move(5_000)
  const outcomes = [first, await vault.revokeKey('key_1'), await vault.revokeKey('key_2')]

  t.strictSame(outcomes, [true, true, false])
  t.match(await vault.findKey('hash-1'), { revokedAt })
})

t.test('a vault that is opened again holds all that it held, and its migrations do not run twice', async (t) => {
  const file = vaultFile(t)
  const first = await file.open()
  await first.saveGrant(grant('a'), 0)
  await first.addKey({ id: 'key_1', name: 'One', hash: 'hash-1', locations: ['*'] })
  await first.close()

  const second = await file.open()
  const third = await file.open()

  for (const vault of [second, third]) {
    t.match(await vault.loadGrant('location:one'), { generation: 1, tokens: { accessToken: 'a' } })
    t.match(await vault.listKeys(), [{ id: 'key_1' }])
  }
  t.match(file.sql('select name from kysely_migration'), [{ name: '001-grants-and-keys' }])
})

t.test('processes that open a new vault at the same moment all open it', async (t) => {
  const file = vaultFile(t)

  const opened = await Promise.allSettled([file.open(), file.open(), file.open()])

  t.strictSame(
    opened.map((outcome) => (outcome.status === 'fulfilled' ? 'open' : String(outcome.reason))),
    ['open', 'open', 'open']
  )
})

t.test('a closed vault answers neither a ping nor a load', async (t) => {
  const vault = await vaultFile(t).open()
  await vault.ping()

  await vault.close()

  await t.rejects(vault.ping())
  await t.rejects(vault.loadGrant('location:one'))
})
