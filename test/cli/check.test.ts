import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import t, { type Test } from 'tap'
import { startCli } from '../support/cli.ts'

/** A server that accepts connections and closes them without an answer. */
async function silentServer(t: Test, host = '127.0.0.1'): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => undefined).destroy()).listen(0, host)
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

t.test('check reports the state of each part, and fails if one does not work', async (t) => {
  const port = await silentServer(t)
  const { run } = await startCli(t)
  const check = (HIGHLEVEL_API_URL: string, ...more: string[]) => run(['check', ...more], '', { HIGHLEVEL_API_URL })

  const [good, document, closed, noTls] = await Promise.all([
    check(`http://127.0.0.1:${port}`),
    check(`http://127.0.0.1:${port}`, '--json'),
    check('http://127.0.0.1:1', '--json'),
    check(`https://localhost:${port}`)
  ])

  t.strictSame(good, { code: 0, stdout: 'configuration: ok\nvault: ok\nupstream: ok\n', stderr: '' })
  t.match(JSON.parse(document.stdout), {
    ok: true,
    checks: [{ name: 'configuration' }, { name: 'vault' }, { name: 'upstream' }]
  })
  t.equal(closed.code, 1)
  t.match(JSON.parse(closed.stdout), {
    ok: false,
    checks: [{ ok: true }, { ok: true }, { name: 'upstream', ok: false, detail: /ECONNREFUSED/ }]
  })
  t.match(noTls, { code: 1, stdout: /^configuration: ok\nvault: ok\nupstream: (?!ok)./ })
})

const hasIPv6 = Object.values(networkInterfaces())
  .flat()
  .some((address) => address?.address === '::1')

t.test(
  'check reaches an upstream whose address is an IPv6 literal',
  { skip: !hasIPv6 && 'no IPv6 here' },
  async (t) => {
    const port = await silentServer(t, '::1')
    const { run } = await startCli(t)

    t.match(await run(['check'], '', { HIGHLEVEL_API_URL: `http://[::1]:${port}` }), {
      code: 0,
      stdout: /upstream: ok/
    })
  }
)

t.test('an invalid configuration or key exits with 1 and a reason, without a stack or any value', async (t) => {
  const { run } = await startCli(t)
  const wrongKey = `k1:${Buffer.alloc(32, 9).toString('base64')}`

  const runs = [
    await run(['keys', 'list'], '', { VAULT_KEYS: '', PORT: 'secret' }),
    await run(['keys', 'list'], '', { VAULT_KEYS: wrongKey })
  ]

  t.match(runs, [
    { code: 1, stdout: '', stderr: /^Invalid configuration: .*VAULT_KEYS is required/ },
    { code: 1, stdout: '', stderr: /^The value sealed for vault_keys:k1 cannot be opened with key k1\n$/ }
  ])
  t.notMatch(JSON.stringify(runs), /secret|CQkJ|at .*\.ts/)
})
