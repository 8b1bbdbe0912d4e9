import type { Readable } from 'node:stream'
import { loadConfig } from '../app/config.ts'
import { openVault } from '../grants/vault/open.ts'
import { check } from './check.ts'
import { type Command, UsageError } from './command.ts'
import { createKey, listKeys, revokeKey } from './keys.ts'
import { addToken, listLocations, removeLocation, showLocation } from './locations.ts'
import { rekeyVault } from './vault.ts'

const commands = new Map<string, Command>(
  Object.entries({
    'keys create': createKey,
    'keys list': listKeys,
    'keys revoke': revokeKey,
    'locations list': listLocations,
    'locations show': showLocation,
    'locations add-token': addToken,
    'locations remove': removeLocation,
    'vault rekey': rekeyVault,
    check
  })
)

const formatUsage = () =>
  [
    'Usage: npm run cli -- <command> [--json]',
    ...[...commands].map(([name, { usage, description }]) => `  ${`${name} ${usage}`.padEnd(46)} ${description}`)
  ].join('\n')

/** The environment and streams of one run. */
export interface Io {
  env: NodeJS.ProcessEnv
  stdin: Readable
  stdout: { write(text: string): unknown }
  stderr: { write(text: string): unknown }
}

async function runCommand(args: readonly string[], { env, stdin, stdout }: Io): Promise<number> {
  const nameWords = args[0]?.startsWith('-') ? [] : args.slice(0, args[0] === 'check' ? 1 : 2)
  const command = commands.get(nameWords.join(' '))
  if (args.includes('--help')) {
    stdout.write(`${formatUsage()}\n`)
    return 0
  }
  if (command === undefined) throw new UsageError(args.length === 0 ? 'No command given' : 'Unknown command')

  const json = args.includes('--json')
  const invocation = command.parse(args.slice(nameWords.length).filter((arg) => arg !== '--json'))
  const config = loadConfig(env)
  const vault = await openVault(config.vault.url, config.vault.keys, { purpose: 'command' })
  try {
    const { document, text, ok = true } = await invocation({ vault, config, stdin })
    stdout.write(json ? `${JSON.stringify(document)}\n` : `${text}\n`)
    return ok ? 0 : 1
  } finally {
    await vault.close()
  }
}

/** Resolves with the exit code: 0 for success, 1 for failure, 2 for invalid usage. */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  try {
    return await runCommand(args, io)
  } catch (error) {
    const isUsage = error instanceof UsageError
    const message = error instanceof Error ? error.message : String(error)
    io.stderr.write(`${message}\n${isUsage ? `${formatUsage()}\n` : ''}`)
    return isUsage ? 2 : 1
  }
}
