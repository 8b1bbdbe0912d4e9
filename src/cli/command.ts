import type { Readable } from 'node:stream'
import { parseArgs } from 'node:util'
import type { Config } from '../app/config.ts'
import type { Vault } from '../grants/vault/vault.ts'
import { ID } from '../shared/ids.ts'

/** The command line is invalid. The message is shown to the user. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

interface CommandContext {
  vault: Vault
  config: Config
  /** Secrets are read from here. */
  stdin: Readable
}

/** The result of a command: a JSON document for machines, text for people. */
interface CommandResult {
  document: object
  text: string
  /** Default true. With false, the process exits with 1. */
  ok?: boolean
}

export interface Command {
  /** The arguments after the command's name. */
  usage: string
  description: string
  /** Parses the arguments, and returns the function that executes the command. Throws UsageError. */
  parse(args: readonly string[]): (context: CommandContext) => Promise<CommandResult>
}

/** For commands without arguments. */
export const assertNoArguments = (args: readonly string[]): void => {
  // The argument is not repeated: it may be a secret that belongs on standard input.
  if (args.length > 0) throw new UsageError('Unexpected argument')
}

/** For commands with one id as their argument. */
export function parseId(args: readonly string[], what: string): string {
  const [id, ...rest] = args
  assertNoArguments(rest)
  if (id === undefined || !ID.test(id)) throw new UsageError(`Expected one ${what}`)
  return id
}

/** The values of `--name` options, all of them required. */
export function parseOptions<Name extends string>(
  args: readonly string[],
  names: readonly Name[]
): Record<Name, string> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: Object.fromEntries(names.map((name) => [name, { type: 'string' }]))
    })
    const missing = names.find((name) => typeof values[name] !== 'string' || values[name] === '')
    if (missing !== undefined) throw new UsageError(`--${missing} is required`)
    return values as Record<Name, string>
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`Expected ${names.map((name) => `--${name}`).join(' and ')}, and nothing else`)
  }
}

/** Rows as aligned columns. */
export function formatTable(rows: readonly (readonly string[])[], empty: string): string {
  if (rows.length <= 1) return empty
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()
    )
    .join('\n')
}

export const formatDate = (epochMs: number): string => new Date(epochMs).toISOString()
