import { spawn } from 'node:child_process'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { runCli } from '../../src/cli/run.ts'
import { parseVaultKeys } from '../../src/grants/vault/cipher.ts'
import { openVault } from '../../src/grants/vault/open.ts'
import { temporaryFolder, VAULT_KEYS } from './harness.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface CliResult {
  code: number | null
  stdout: string
  stderr: string
}

/** The command line on a new vault, and that vault itself. */
export async function startCli(t: Test, env: Record<string, string> = {}) {
  const DATABASE_URL = `sqlite:${temporaryFolder(t)}/gateway.db`
  const vault = await openVault(DATABASE_URL, parseVaultKeys(VAULT_KEYS).keys)
  t.teardown(() => vault.close())

  /** Runs a command in this process, with `stdin` as its whole input. */
  const run = async (
    args: readonly string[],
    stdin = '',
    extraEnv: Record<string, string> = {}
  ): Promise<CliResult> => {
    const output = { stdout: '', stderr: '' }
    const collect = (name: keyof typeof output) => ({ write: (text: string) => (output[name] += text) })
    const io = { env: { DATABASE_URL, VAULT_KEYS, ...env, ...extraEnv }, stdin: Readable.from([stdin]) }
    const code = await runCli(args, { ...io, stdout: collect('stdout'), stderr: collect('stderr') })
    return { code, ...output }
  }

  /** Runs a command in a new process. */
  const runProcess = async (args: readonly string[], stdin = ''): Promise<CliResult> => {
    const child = spawn(process.execPath, [MAIN, ...args], { env: { DATABASE_URL, VAULT_KEYS, ...env } })
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    child.stdin.on('error', () => undefined).end(stdin)
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
    return { code, stdout, stderr }
  }

  return {
    vault,
    run,
    runProcess,
    /** Runs a command with `--json` and parses its output. */
    async json(...args: string[]): Promise<{ code: number | null; document: Record<string, unknown> }> {
      const { code, stdout } = await run([...args, '--json'])
      return { code, document: JSON.parse(stdout) as Record<string, unknown> }
    }
  }
}
