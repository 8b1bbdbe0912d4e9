import t from 'tap'
import { startCli } from '../support/cli.ts'

const PIT = 'pit-2a6f0c1e-1111-4222-8333-944455566677'

t.test(
  'wrong usage ends with 2, says what is wrong and how to do it on standard error, and changes nothing',
  async (t) => {
    const { run, vault } = await startCli(t)
    const rows: [args: string[], said: RegExp][] = [
      [['nonsense'], /^There is no such command\n/],
      [['constructor'], /^There is no such command\n/],
      [['keys'], /^There is no such command\n/],
      [['keys', 'creat'], /^There is no such command\n/],
      [['--json'], /^There is no such command\n/],
      [['check', 'now'], /^There is an argument too many\n/],
      [['keys', 'create', '--name', 'a'], /^--locations is missing\n/],
      [['keys', 'create', '--name', 'a', '--locations', 'a,,b'], /^Not a location id: \n/],
      [['keys', 'create', '--name', 'a', '--locations', 'a b'], /^Not a location id: a b\n/],
      [
        ['keys', 'create', '--name', 'a', '--locations', 'a', '--colour', 'red'],
        /^Give --name and --locations, and nothing else\n/
      ],
      [['keys', 'revoke'], /^Name one key id\n/],
      [['locations', 'show', 'one', 'two'], /^There is an argument too many\n/],
      [['keys', 'create', '--name', 'a\u001b[2J', '--locations', 'a'], /^--name takes 1 to 100 printable characters\n/],
      [['locations', 'add-token', 'one'], /^Give the token on standard input\n/]
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

t.test('a token that was typed as an argument is refused without being repeated', async (t) => {
  const { run } = await startCli(t)

  const refused = await run(['locations', 'add-token', 'one', PIT])

  t.equal(refused.code, 2)
  t.notMatch(refused.stdout + refused.stderr, PIT)
})

t.test('a token that cannot be one is refused without being repeated', async (t) => {
  const { run, vault } = await startCli(t)

  const runs = await Promise.all(
    ['pit-1', 'pit-ümlaut-ümlaut', 'x'.repeat(5_000)].map((token) => run(['locations', 'add-token', 'one'], token))
  )

  t.match(runs, [{ code: 2 }, { code: 2 }, { code: 2 }])
  t.notMatch(JSON.stringify(runs), /pit-1|ümlaut|xxxx/)
  t.equal(await vault.loadGrant('location:one'), undefined)
})

t.test('help is printed to whoever asks, without a configuration, and names every command', async (t) => {
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
  t.strictSame([nothing.stdout, nothing.stderr], ['', `Name a command\n${help.stdout}`])
})

t.test('commands that run at the same moment on one vault all succeed', async (t) => {
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
