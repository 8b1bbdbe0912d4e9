import t from 'tap'
import { sql } from '../support/databases.ts'
import { accessTokenOf, openFailingVault } from './failing-vault.ts'
import { install, issuedGrant, ONE } from './issued-grants.ts'

t.test('a save becomes the next generation at once, with nothing left to drain', async (t) => {
  const { saves, vault } = await openFailingVault(t)

  const { grant, saved } = await saves.save(issuedGrant('second'), 1)
  await saved
  await saves.drain()

  t.match(grant, { generation: 2, state: 'connected', tokens: { accessToken: 'second' } })
  t.strictSame(await vault.loadGrant(ONE), grant)
  t.strictSame(await saves.load(ONE), grant)
})

t.test('a save that comes too late resolves with the grant that was saved before it', async (t) => {
  const { saves, vault } = await openFailingVault(t)
  await vault.saveIssued(issuedGrant('ahead'), 1)

  t.equal(accessTokenOf((await saves.save(issuedGrant('late'), 1)).grant), 'ahead')
  t.equal(accessTokenOf((await saves.save(issuedGrant('from nowhere'), 7)).grant), 'ahead')
})

t.test('while the vault fails, a grant is served from memory, and drain waits until it is saved', async (t) => {
  const { saves, vault, failNextWrites, lines } = await openFailingVault(t)
  failNextWrites(2)

  const { grant, saved } = await saves.save(issuedGrant('second'), 1)
  const meanwhile = [await saves.load(ONE), await vault.loadGrant(ONE)]
  const unsaved = saves.unsaved()
  await saves.drain()
  await saved

  t.equal(accessTokenOf(grant), 'second')
  t.strictSame(meanwhile.map(accessTokenOf), ['second', 'first'])
  t.strictSame([unsaved, saves.unsaved()], [[ONE], []])
  t.strictSame(await vault.loadGrant(ONE), grant)
  t.strictSame(await saves.load(ONE), grant)
  const logged = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  t.match(logged, [
    { level: 50, subject: ONE, err: { message: 'the disk is full' } },
    { level: 50, subject: ONE },
    { level: 30, subject: ONE, msg: /is saved/ }
  ])
  t.notMatch(lines.join(''), 'second')
})

t.test('a save that was carried out although the vault reported a failure is recognized as its own', async (t) => {
  const { saves, vault, reportFailureAfter, lines } = await openFailingVault(t)
  reportFailureAfter((write) => write())

  const { saved } = await saves.save(issuedGrant('second'), 1)
  await saved

  t.match(await vault.loadGrant(ONE), { generation: 2, tokens: { accessToken: 'second' } })
  t.match(lines.at(-1), /is saved/)
})

t.test('another location is saved and loaded while one save is pending', async (t) => {
  const { saves, vault, failNextWrites } = await openFailingVault(t)
  failNextWrites(1)
  await saves.save(issuedGrant('second'), 1)

  const { grant } = await saves.install(issuedGrant('other', { subject: 'location:two' }), 1)

  t.match(grant, { generation: 1 })
  t.strictSame(await vault.loadGrant('location:two'), grant)
  await saves.drain()
})

t.test(
  'a pending save gives way to a grant that another process installed meanwhile, and the log says so',
  async (t) => {
    const { saves, vault, failNextWrites, lines } = await openFailingVault(t)
    failNextWrites(1)
    await saves.save(issuedGrant('second'), 1)

    await vault.installGrant(issuedGrant('installed anew'), install(1))
    await saves.drain()

    t.match(await saves.load(ONE), { generation: 2, tokens: { accessToken: 'installed anew' } })
    t.match(JSON.parse(lines.at(-1) ?? ''), { subject: ONE, msg: /replaced/ })
  }
)

t.test('a grant that was uninstalled while its save was pending stays uninstalled', async (t) => {
  const { saves, vault, failNextWrites } = await openFailingVault(t)
  failNextWrites(1)
  await saves.save(issuedGrant('second'), 1)

  await vault.markUninstalled(ONE, 'uninstalled', 1_000)
  await saves.drain()

  t.match(await saves.load(ONE), { generation: 2, state: 'uninstalled', tokens: null })
})

t.test('an install replaces the pending save of a renewal, whether the install is saved at once or not', async (t) => {
  for (const failures of [1, 2]) {
    const { saves, vault, failNextWrites } = await openFailingVault(t)
    failNextWrites(failures)
    await saves.save(issuedGrant('second'), 1)

    await saves.install(issuedGrant('installed anew'), 2)
    const meanwhile = accessTokenOf(await saves.load(ONE))
    await saves.drain()

    t.equal(meanwhile, 'installed anew')
    t.equal(accessTokenOf(await vault.loadGrant(ONE)), 'installed anew')
  }
})

t.test('an install that comes while a renewal is being saved again is saved after it', async (t) => {
  const { saves, vault, failNextWrites, holdNextWrite, nextWrite } = await openFailingVault(t)
  failNextWrites(1)
  const release = holdNextWrite()
  await saves.save(issuedGrant('second'), 1)
  await nextWrite()

  await saves.install(issuedGrant('installed anew'), 2)
  release()
  await saves.drain()

  t.equal(accessTokenOf(await vault.loadGrant(ONE)), 'installed anew')
  t.equal(accessTokenOf(await saves.load(ONE)), 'installed anew')
})

t.test('a vault that cannot be read is vault-unavailable', async (t) => {
  const { saves, vault } = await openFailingVault(t)
  await vault.close()

  await t.rejects(saves.load(ONE), { name: 'Problem', code: 'vault-unavailable' })
})

t.test('an older renewal does not replace the pending save of an install', async (t) => {
  for (const failures of [1, 2]) {
    const { saves, vault, failNextWrites } = await openFailingVault(t)
    failNextWrites(failures)
    await saves.install(issuedGrant('installed anew'), 2)

    const { grant } = await saves.save(issuedGrant('renewed of old'), 1)
    const meanwhile = accessTokenOf(await saves.load(ONE))
    await saves.drain()

    t.strictSame([accessTokenOf(grant), meanwhile], ['installed anew', 'installed anew'], `${failures} failures`)
    t.equal(accessTokenOf(await vault.loadGrant(ONE)), 'installed anew')
  }
})

t.test(
  'an install that was carried out although the vault reported a failure does not overwrite later events',
  async (t) => {
    for (const after of ['renewed', 'uninstalled'] as const) {
      const { saves, vault, reportFailureAfter } = await openFailingVault(t)
      const stored = Promise.withResolvers<void>()
      reportFailureAfter(async (write) => {
        await write()
        if (after === 'renewed') await vault.saveIssued(issuedGrant('renewed since'), 2)
        else await vault.markUninstalled(ONE, 'left', 10)
        stored.resolve()
      })

      const { saved } = await saves.install(issuedGrant('installed anew'), 2)
      await stored.promise
      await saved

      const expected = after === 'renewed' ? { tokens: { accessToken: 'renewed since' } } : { state: 'uninstalled' }
      t.match(await vault.loadGrant(ONE), expected)
    }
  }
)

t.test('drain waits for a first try in progress', async (t) => {
  const { saves, vault, holdNextWrite } = await openFailingVault(t)
  const release = holdNextWrite()
  void saves.install(issuedGrant('installed anew'), 2)
  let isDrained = false
  const drain = saves.drain().then(() => {
    isDrained = true
  })

  await vault.ping()
  const early = isDrained
  release()
  await drain

  t.equal(early, false)
  t.equal(accessTokenOf(await vault.loadGrant(ONE)), 'installed anew')
})

t.test('of two pending installs the newer one is kept, however late the first try of the older one ends', async (t) => {
  for (const result of ['saved', 'failed'] as const) {
    const { saves, vault, failNextWrites, holdNextWrite, nextWrite, reportFailureAfter } = await openFailingVault(t)
    const release = result === 'saved' ? holdNextWrite() : undefined
    const late = Promise.withResolvers<void>()
    if (result === 'failed') reportFailureAfter(() => late.promise)
    const tried = nextWrite()
    const older = saves.install(issuedGrant('older'), 2)
    await tried
    failNextWrites(1)
    await saves.install(issuedGrant('newer'), 3)
    release?.()
    late.resolve()
    await older

    const meanwhile = accessTokenOf(await saves.load(ONE))
    await saves.drain()

    t.equal(meanwhile, 'newer', result)
    t.equal(accessTokenOf(await vault.loadGrant(ONE)), 'newer', result)
  }
})

t.test('tokens that another process sealed with a key that this one lacks end a pending save', async (t) => {
  const { saves, url } = await openFailingVault(t)
  await sql(url, "update grants set generation = 2, sealed = 'k9.AAAA', key_id = 'k9'")

  const { grant, saved } = await saves.save(issuedGrant('second'), 1)
  await saved
  await saves.drain()

  t.equal(grant, undefined)
  t.strictSame(saves.unsaved(), [])
})
