import t from 'tap'
import { sql } from '../support/stores.ts'
import { install, issuedGrant, ONE } from './issued-grants.ts'
import { savesBehindDoor, token } from './saves-behind-door.ts'

t.test('a save becomes the next generation, at once and with nothing left to drain', async (t) => {
  const { saves, vault } = await savesBehindDoor(t)

  const { grant, saved } = await saves.save(issuedGrant('second'), 1)
  await saved
  await saves.drain()

  t.match(grant, { generation: 2, state: 'connected', tokens: { accessToken: 'second' } })
  t.strictSame(await vault.loadGrant(ONE), grant)
  t.strictSame(await saves.load(ONE), grant)
})

t.test('a save that comes too late resolves with what got ahead of it', async (t) => {
  const { saves, vault } = await savesBehindDoor(t)
  await vault.saveIssued(issuedGrant('ahead'), 1)

  t.equal(token((await saves.save(issuedGrant('late'), 1)).grant), 'ahead')
  t.equal(token((await saves.save(issuedGrant('from nowhere'), 7)).grant), 'ahead')
})

t.test('while the store fails a save is served from memory, and drain waits until it holds', async (t) => {
  const { saves, vault, failing, lines } = await savesBehindDoor(t)
  failing(2)

  const { grant, saved } = await saves.save(issuedGrant('second'), 1)
  const meanwhile = [await saves.load(ONE), await vault.loadGrant(ONE)]
  const waiting = saves.unsaved()
  await saves.drain()
  await saved

  t.equal(token(grant), 'second')
  t.strictSame(meanwhile.map(token), ['second', 'first'])
  t.strictSame([waiting, saves.unsaved()], [[ONE], []])
  t.strictSame(await vault.loadGrant(ONE), grant)
  t.strictSame(await saves.load(ONE), grant)
  const said = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  t.match(said, [
    { level: 50, subject: ONE, err: { message: 'the disk is full' } },
    { level: 50, subject: ONE },
    { level: 30, subject: ONE, msg: /is saved/ }
  ])
  t.notMatch(lines.join(''), 'second')
})

t.test('a save that was carried out although the store said that it failed is known as ours', async (t) => {
  const { saves, vault, carriedOutUnseen, lines } = await savesBehindDoor(t)
  carriedOutUnseen((write) => write())

  const { saved } = await saves.save(issuedGrant('second'), 1)
  await saved

  t.match(await vault.loadGrant(ONE), { generation: 2, tokens: { accessToken: 'second' } })
  t.match(lines.at(-1), /is saved/)
})

t.test('another location is saved and loaded while one waits', async (t) => {
  const { saves, vault, failing } = await savesBehindDoor(t)
  failing(1)
  await saves.save(issuedGrant('second'), 1)

  const { grant } = await saves.install(issuedGrant('other', { subject: 'location:two' }), 1)

  t.match(grant, { generation: 1 })
  t.strictSame(await vault.loadGrant('location:two'), grant)
  await saves.drain()
})

t.test('a grant that was replaced while its save waited gives way, and the log says so', async (t) => {
  const { saves, vault, failing, lines } = await savesBehindDoor(t)
  failing(1)
  await saves.save(issuedGrant('second'), 1)

  await vault.installGrant(issuedGrant('installed anew'), install(1))
  await saves.drain()

  t.match(await saves.load(ONE), { generation: 2, tokens: { accessToken: 'installed anew' } })
  t.match(JSON.parse(lines.at(-1) ?? ''), { subject: ONE, msg: /replaced/ })
})

t.test('a grant that was forgotten while its save waited stays forgotten', async (t) => {
  const { saves, vault, failing } = await savesBehindDoor(t)
  failing(1)
  await saves.save(issuedGrant('second'), 1)

  await vault.markUninstalled(ONE, 'uninstalled', 1_000)
  await saves.drain()

  t.match(await saves.load(ONE), { generation: 2, state: 'uninstalled', tokens: null })
})

t.test(
  'an install takes the place of a renewal that waits to be saved, whether it is saved at once or not',
  async (t) => {
    for (const failures of [1, 2]) {
      const { saves, vault, failing } = await savesBehindDoor(t)
      failing(failures)
      await saves.save(issuedGrant('second'), 1)

      await saves.install(issuedGrant('installed anew'), 2)
      const meanwhile = token(await saves.load(ONE))
      await saves.drain()

      t.equal(meanwhile, 'installed anew')
      t.equal(token(await vault.loadGrant(ONE)), 'installed anew')
    }
  }
)

t.test('an install that comes while a renewal is being saved again follows it', async (t) => {
  const { saves, vault, failing, holding, attempt } = await savesBehindDoor(t)
  failing(1)
  const letIn = holding()
  await saves.save(issuedGrant('second'), 1)
  await attempt()

  await saves.install(issuedGrant('installed anew'), 2)
  letIn()
  await saves.drain()

  t.equal(token(await vault.loadGrant(ONE)), 'installed anew')
  t.equal(token(await saves.load(ONE)), 'installed anew')
})

t.test('a store that cannot be read is vault-unavailable', async (t) => {
  const { saves, vault } = await savesBehindDoor(t)
  await vault.close()

  await t.rejects(saves.load(ONE), { name: 'Problem', code: 'vault-unavailable' })
})

t.test('a renewal of before does not take the place of an install that waits to be saved', async (t) => {
  for (const failures of [1, 2]) {
    const { saves, vault, failing } = await savesBehindDoor(t)
    failing(failures)
    await saves.install(issuedGrant('installed anew'), 2)

    const { grant } = await saves.save(issuedGrant('renewed of old'), 1)
    const meanwhile = token(await saves.load(ONE))
    await saves.drain()

    t.strictSame([token(grant), meanwhile], ['installed anew', 'installed anew'], `${failures} failures`)
    t.equal(token(await vault.loadGrant(ONE)), 'installed anew')
  }
})

t.test('an install that was carried out unseen is not carried out over what came after it', async (t) => {
  for (const after of ['renewed', 'uninstalled'] as const) {
    const { saves, vault, carriedOutUnseen } = await savesBehindDoor(t)
    const stored = Promise.withResolvers<void>()
    carriedOutUnseen(async (write) => {
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
})

t.test('drain waits for a first try that is under way', async (t) => {
  const { saves, vault, holding } = await savesBehindDoor(t)
  const letIn = holding()
  void saves.install(issuedGrant('installed anew'), 2)
  let isDrained = false
  const drain = saves.drain().then(() => {
    isDrained = true
  })

  await vault.ping()
  const early = isDrained
  letIn()
  await drain

  t.equal(early, false)
  t.equal(token(await vault.loadGrant(ONE)), 'installed anew')
})

t.test('of two installs the newer one stays in memory, however late the first try of the older one ends', async (t) => {
  for (const ends of ['well', 'badly'] as const) {
    const { saves, vault, failing, holding, attempt, carriedOutUnseen } = await savesBehindDoor(t)
    const letIn = ends === 'well' ? holding() : undefined
    const late = Promise.withResolvers<void>()
    if (ends === 'badly') carriedOutUnseen(() => late.promise)
    const tried = attempt()
    const older = saves.install(issuedGrant('older'), 2)
    await tried
    failing(1)
    await saves.install(issuedGrant('newer'), 3)
    letIn?.()
    late.resolve()
    await older

    const meanwhile = token(await saves.load(ONE))
    await saves.drain()

    t.equal(meanwhile, 'newer', ends)
    t.equal(token(await vault.loadGrant(ONE)), 'newer', ends)
  }
})

t.test('a pair that another process saved under a key that this one lacks is not waited for', async (t) => {
  const { saves, url } = await savesBehindDoor(t)
  await sql(url, "update grants set generation = 2, sealed = 'k9.AAAA', key_id = 'k9'")

  const { grant, saved } = await saves.save(issuedGrant('second'), 1)
  await saved
  await saves.drain()

  t.equal(grant, undefined)
  t.strictSame(saves.unsaved(), [])
})
