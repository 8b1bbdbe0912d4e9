import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { at, savesBehindDoor, token } from './saves-behind-door.ts'
import { grant } from './vault-file.ts'

const ONE = 'location:one'

t.test('a save becomes the next generation, at once and with nothing left to drain', async (t) => {
  const { saves, vault } = await savesBehindDoor(t)

  const inForce = await saves.save(at(1, 'second'))
  await saves.drain()

  t.match(inForce, { generation: 2, tokens: { accessToken: 'second' } })
  t.strictSame(await vault.loadGrant(ONE), inForce)
  t.strictSame(await saves.load(ONE), inForce)
})

t.test('a save that comes too late resolves with what got ahead of it', async (t) => {
  const { saves, vault } = await savesBehindDoor(t)
  await vault.saveGrant(grant('ahead'), 1)

  t.match(await saves.save(at(1, 'late')), { generation: 2, tokens: { accessToken: 'ahead' } })
  t.match(await saves.save(at(7, 'from nowhere')), { generation: 2, tokens: { accessToken: 'ahead' } })
})

t.test('while the store fails a save is served from memory, and drain waits until it holds', async (t) => {
  const { saves, vault, failing, lines } = await savesBehindDoor(t)
  failing(2)

  const inForce = await saves.save(at(1, 'second'))
  const meanwhile = [await saves.load(ONE), await vault.loadGrant(ONE)]
  await saves.drain()

  t.match(inForce, { tokens: { accessToken: 'second' } })
  t.strictSame(meanwhile.map(token), ['second', 'first'])
  t.strictSame(await vault.loadGrant(ONE), inForce)
  t.strictSame(await saves.load(ONE), inForce)
  const said = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  t.match(said, [
    { level: 50, subject: ONE, err: { message: 'the disk is full' } },
    { level: 50, subject: ONE }
  ])
  t.notMatch(lines.join(''), 'second')
})

t.test('another location is saved and loaded while one waits', async (t) => {
  const { saves, vault, failing } = await savesBehindDoor(t)
  failing(1)
  await saves.save(at(1, 'second'))

  const other = await saves.save({ ...at(0, 'other'), subject: 'location:two' })

  t.match(other, { generation: 1 })
  t.strictSame(await vault.loadGrant('location:two'), other)
  await saves.drain()
})

t.test('a grant that was replaced while its save waited gives way, and the log says so', async (t) => {
  const { saves, vault, failing, lines } = await savesBehindDoor(t)
  failing(1)
  await saves.save(at(1, 'second'))

  await vault.saveGrant(grant('installed anew'), 1)
  await saves.drain()

  t.match(await saves.load(ONE), { generation: 2, tokens: { accessToken: 'installed anew' } })
  t.match(JSON.parse(lines.at(-1) ?? ''), { level: 40, subject: ONE, msg: /replaced/ })
})

t.test('a grant that was forgotten while its save waited stays forgotten', async (t) => {
  const { saves, vault, failing } = await savesBehindDoor(t)
  failing(1)
  await saves.save(at(1, 'second'))

  await vault.forgetGrant(ONE, 'uninstalled')
  await saves.drain()

  t.match(await saves.load(ONE), { generation: 2, state: 'uninstalled', tokens: null })
})

t.test('with nothing unsaved drain resolves at once', async (t) => {
  const { saves } = await savesBehindDoor(t)

  t.equal(await saves.drain(), undefined)
})

t.test('drain resolves as soon as the last save holds', async (t) => {
  const { saves, vault, failing, attempt } = await savesBehindDoor(t)
  failing(1)
  await saves.save(at(1, 'second'))
  let drained = false
  const drain = saves.drain().then(() => {
    drained = true
  })

  await attempt()
  await vault.loadGrant(ONE)
  await setImmediate()

  t.equal(token(await vault.loadGrant(ONE)), 'second')
  t.equal(drained, true)
  await drain
})
