import { chmodSync, statSync } from 'node:fs'
import t from 'tap'
import { openVault } from '../../../src/grants/vault/open.ts'
import { key } from '../../support/databases.ts'
import { temporaryFolder } from '../../support/harness.ts'

const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8)

t.test('a path that is not a file keeps its mode', async (t) => {
  const folder = temporaryFolder(t)
  chmodSync(folder, 0o755)
  await t.rejects(openVault(`sqlite:${folder}`, [key('k1', 1)]), /unable to open/)
  t.equal(modeOf(folder), '755')
})

t.test('the files of a vault are accessible to their owner only, whatever the umask', async (t) => {
  const umask = process.umask(0)
  t.teardown(() => process.umask(umask))
  const file = `${temporaryFolder(t)}/gateway.db`
  const files = [file, `${file}-wal`, `${file}-shm`]

  const vault = await openVault(`sqlite:${file}`, [key('k1', 1)])
  await vault.addKey({ id: 'a', name: 'a', hash: 'b', locations: ['*'] })
  t.strictSame(files.map(modeOf), ['600', '600', '600'])

  // The mode that an earlier release gave them.
  for (const each of files) chmodSync(each, 0o644)
  const other = await openVault(`sqlite:${file}`, [key('k1', 1)])
  t.strictSame(files.map(modeOf), ['600', '600', '600'])
  await other.close()
  await vault.close()
})
