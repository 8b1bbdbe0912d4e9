import { loadConfig } from '../config.ts'
import { requireNode } from '../shared/node-version.ts'
import { openVault } from '../tokens/vault-sql.ts'
import { check } from './check.ts'
import { type Command, UsageError } from './command.ts'
import { createKey, listKeys, revokeKey } from './keys.ts'
import { addToken, listLocations, removeLocation, showLocation } from './locations.ts'

const commands = new Map<string, Command>(
  Object.entries({
    'keys create': createKey,
    'keys list': listKeys,
    'keys revoke': revokeKey,
    'locations list': listLocations,
    'locations show': showLocation,
    'locations add-token': addToken,
    'locations remove': removeLocation,
    check
  })
)

const usage = () =>
  [
    'Usage: npm run cli -- <command> [--json]',
    ...[...commands].map(([name, { usage, does }]) => `  ${`${name} ${usage}`.padEnd(46)} ${does}`)
  ].join('\n')

/** Exit codes: 0 done, 1 failed, 2 wrong usage. */
async function main(args: readonly string[]): Promise<number> {
  requireNode()
  const words = args[0]?.startsWith('-') ? [] : args.slice(0, args[0] === 'check' ? 1 : 2)
  const command = commands.get(words.join(' '))
  if (args.includes('--help')) {
    process.stdout.write(`${usage()}\n`)
    return 0
  }
  if (command === undefined) throw new UsageError(args.length === 0 ? 'Name a command' : 'There is no such command')

  const json = args.includes('--json')
  const invocation = command.read(args.slice(words.length).filter((arg) => arg !== '--json'))
  const config = loadConfig(process.env)
  const vault = await openVault(config.DATABASE_URL, config.vaultKeys)
  try {
    const { document, text, ok = true } = await invocation({ vault, config })
    process.stdout.write(json ? `${JSON.stringify(document)}\n` : `${text}\n`)
    return ok ? 0 : 1
  } finally {
    await vault.close()
  }
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    const isUsage = error instanceof UsageError
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${isUsage ? `${usage()}\n` : ''}`)
    process.exitCode = isUsage ? 2 : 1
  }
)
