import type { Readable } from 'node:stream'
import { parseArgs } from 'node:util'
import type { Config } from '../app/config.ts'
import type { Vault } from '../grants/vault/vault.ts'
import { ID } from '../shared/ids.ts'

/** The command line does not say what to do. The message is for the person at it. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export interface Context {
  vault: Vault
  config: Config
  /** Where secrets are given. */
  stdin: Readable
}

/** What a command has to say: one JSON document for machines, lines for people. */
export interface Outcome {
  document: object
  text: string
  /** Default true; false ends the process with 1. */
  ok?: boolean
}

export interface Command {
  /** The arguments after the command's name. */
  usage: string
  does: string
  /** Reads the arguments. Throws UsageError. */
  read(args: readonly string[]): (context: Context) => Promise<Outcome>
}

/** A command that takes nothing. */
export const nothing = (args: readonly string[]): void => {
  // Not repeated: it may be a secret that belongs on standard input.
  if (args.length > 0) throw new UsageError('There is an argument too many')
}

/** A command that takes one id. */
export function oneId(args: readonly string[], what: string): string {
  const [id, ...rest] = args
  nothing(rest)
  if (id === undefined || !ID.test(id)) throw new UsageError(`Name one ${what}`)
  return id
}

/** The values of `--name` options, all of them required. */
export function options<Name extends string>(args: readonly string[], names: readonly Name[]): Record<Name, string> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: Object.fromEntries(names.map((name) => [name, { type: 'string' }]))
    })
    const missing = names.find((name) => typeof values[name] !== 'string' || values[name] === '')
    if (missing !== undefined) throw new UsageError(`--${missing} is missing`)
    return values as Record<Name, string>
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`Give ${names.map((name) => `--${name}`).join(' and ')}, and nothing else`)
  }
}

/** Rows as aligned columns. */
export function table(rows: readonly (readonly string[])[], empty: string): string {
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

export const date = (epochMs: number): string => new Date(epochMs).toISOString()
