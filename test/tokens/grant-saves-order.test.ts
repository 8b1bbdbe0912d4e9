import t from 'tap'
import { at, savesBehindDoor, token } from './saves-behind-door.ts'
import { grant } from './vault-file.ts'

const ONE = 'location:one'

t.test('a second save while the first waits takes its place', async (t) => {
  const { saves, vault, failing } = await savesBehindDoor(t)
  failing(1)
  const first = await saves.save(at(1, 'second'))

  await saves.save({ ...(first ?? at(2, 'none')), ...grant('third') })
  const meanwhile = token(await saves.load(ONE))
  await saves.drain()

  t.equal(meanwhile, 'third')
  t.match(await vault.loadGrant(ONE), { tokens: { accessToken: 'third' } })
  t.equal((await saves.load(ONE))?.generation, (await vault.loadGrant(ONE))?.generation)
})

t.test('a second save that comes while the first is being saved again follows it', async (t) => {
  const { saves, vault, failing, holding, attempt } = await savesBehindDoor(t)
  failing(1)
  const letIn = holding()
  const waiting = await saves.save(at(1, 'second'))
  await attempt()

  const second = saves.save({ ...(waiting ?? at(2, 'none')), ...grant('third') })
  letIn()
  await second
  await saves.drain()

  t.match(await vault.loadGrant(ONE), { tokens: { accessToken: 'third' } })
})

t.test('a pair that was made from a grant in memory is saved, however often the grant was saved since', async (t) => {
  const { saves, vault, failing, holding, attempt } = await savesBehindDoor(t)
  failing(1)
  const letIn = holding()
  const waiting = await saves.save(at(1, 'second'))
  await attempt()
  const second = saves.save({ ...(waiting ?? at(2, 'none')), ...grant('third') })
  letIn()
  const inForce = await second
  await saves.drain()

  const third = await saves.save({ ...(inForce ?? at(3, 'none')), ...grant('fourth') })
  await saves.drain()

  t.equal(token(third), 'fourth')
  t.equal(token(await vault.loadGrant(ONE)), 'fourth')
})

t.test('what another process saved ahead of a waiting grant is not overwritten by the one behind it', async (t) => {
  const { saves, vault, failing, holding, attempt } = await savesBehindDoor(t)
  failing(1)
  const letIn = holding()
  const waiting = await saves.save(at(1, 'second'))
  await attempt()
  const behind = saves.save({ ...(waiting ?? at(2, 'none')), ...grant('third') })

  await vault.saveGrant(grant('installed anew'), 1)
  letIn()
  await behind
  await saves.drain()

  t.equal(token(await vault.loadGrant(ONE)), 'installed anew')
})
