import t from 'tap'
import { startCli } from '../support/cli.ts'

const PIT = 'pit-2a6f0c1e-1111-4222-8333-944455566677'

t.test(
  'invalid usage exits with 2, prints the error and the usage on standard error, and changes nothing',
  async (t) => {
    const { run, vault } = await startCli(t)
    const rows: [args: string[], said: RegExp][] = [
      [['nonsense'], /^Unknown command\n/],
      [['constructor'], /^Unknown command\n/],
      [['keys'], /^Unknown command\n/],
      [['keys', 'creat'], /^Unknown command\n/],
      [['--json'], /^Unknown command\n/],
      [['check', 'now'], /^Unexpected argument\n/],
      [['keys', 'create', '--name', 'a'], /^--locations is required\n/],
      [['keys', 'create', '--name', 'a', '--locations', 'a,,b'], /^Not a location id: \n/],
      [['keys', 'create', '--name', 'a', '--locations', 'a b'], /^Not a location id: a b\n/],
      [
        ['keys', 'create', '--name', 'a', '--locations', 'a', '--colour', 'red'],
        /^Expected --name and --locations, and nothing else\n/
      ],
      [['keys', 'revoke'], /^Expected one key id\n/],
      [['locations', 'show', 'one', 'two'], /^Unexpected argument\n/],
      [
        ['keys', 'create', '--name', 'a\u001b[2J', '--locations', 'a'],
        /^--name must have 1 to 100 printable characters\n/
      ],
      [['locations', 'add-token', 'one'], /^Expected a token on standard input\n/]
    ]

    const runs = await Promise.all(rows.map(([args]) => run(args)))

    for (const [index, [args, said]] of rows.entries()) {
      const name = args.join(' ')
      t.match(runs[index], { code: 2, stdout: '', stderr: said }, name)
      t.match(runs[index]?.stderr, /\nUsage: npm run cli -- <command> \[--json\]\n {2}keys create /, name)
    }
    t.strictSame([await vault.listKeys(), await vault.listLocations({ limit: 9 })], [[], []])
  }
)

t.test('a token given as an argument is rejected and not repeated', async (t) => {
  const { run } = await startCli(t)

  const refused = await run(['locations', 'add-token', 'one', PIT])

  t.equal(refused.code, 2)
  t.notMatch(refused.stdout + refused.stderr, PIT)
})

t.test('an invalid token is rejected and not repeated', async (t) => {
  const { run, vault } = await startCli(t)

  const runs = await Promise.all(
    ['pit-1', 'pit-ümlaut-ümlaut', 'x'.repeat(5_000)].map((token) => run(['locations', 'add-token', 'one'], token))
  )

  t.match(runs, [{ code: 2 }, { code: 2 }, { code: 2 }])
  t.notMatch(JSON.stringify(runs), /pit-1|ümlaut|xxxx/)
  t.equal(await vault.loadGrant('location:one'), undefined)
})

t.test('--help works without a configuration and lists every command', async (t) => {
  const { run } = await startCli(t)

  const help = await run(['--help'], '', { VAULT_KEYS: '' })
  const ofCommand = await run(['keys', 'create', '--help'], '', { VAULT_KEYS: '' })
  const nothing = await run([], '', { VAULT_KEYS: '' })

  t.match(help, { code: 0, stderr: '' })
  for (const name of [
    'keys create',
    'keys list',
    'keys revoke ID',
    'locations list',
    'locations show ID',
    'locations add-token ID',
    'locations remove ID',
    'check'
  ])
    t.match(help.stdout, `  ${name}`)
  t.match(ofCommand, { code: 0, stdout: help.stdout })
  t.equal(nothing.code, 2)
  t.strictSame([nothing.stdout, nothing.stderr], ['', `No command given\n${help.stdout}`])
})

t.test('concurrent commands on one vault all succeed', async (t) => {
  const { run, vault } = await startCli(t)

  const runs = await Promise.all(
    ['a', 'b', 'c', 'd'].map((name) => run(['keys', 'create', '--name', name, '--locations', name]))
  )

  t.strictSame(
    runs.map(({ code }) => code),
    [0, 0, 0, 0]
  )
  t.strictSame((await vault.listKeys()).map(({ name }) => name).sort(), ['a', 'b', 'c', 'd'])
})
