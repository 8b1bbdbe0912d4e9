import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { locationId, privateToken } from './example.ts'
import { freePort } from './processes.ts'

const root = join(import.meta.dirname, '..')
const peers = join(import.meta.dirname, 'peers')
const UNLIMITED = '1000000000'

/** How to start a contestant, any number of times, and how to call it. */
export interface Contestant {
  readonly args: readonly string[]
  readonly env: Record<string, string>
  readonly origin: string
  readonly headers: Record<string, string>
}
/** `dir` is a temporary directory of this run. */
export interface BenchEnvironment {
  readonly upstreamUrl: string
  readonly dir: string
}
export type PrepareContestant = (environment: BenchEnvironment) => Promise<Contestant>

/** In the order in which they are measured and reported. */
export const contestants: Record<string, PrepareContestant> = {
  floor: peer('floor'),
  gateway: (environment) => prepareGateway(environment, root),
  'reply-from': peer('reply-from'),
  'express-axios': peer('express-axios')
}

function peer(name: string): PrepareContestant {
  return async ({ upstreamUrl }) => {
    if (!existsSync(join(peers, 'node_modules'))) {
      execFileSync('npm', ['ci', '--prefix', peers], { cwd: peers, stdio: ['ignore', 'ignore', 'inherit'] })
    }
    const port = await freePort()
    return {
      args: [join(peers, `${name}.js`)],
      env: { PORT: String(port), UPSTREAM_URL: upstreamUrl, UPSTREAM_TOKEN: privateToken },
      origin: `http://127.0.0.1:${port}`,
      headers: {}
    }
  }
}

/** The gateway with limits shared through this Redis. */
export const gatewayWithRedis =
  (url: string): PrepareContestant =>
  (environment) => {
    const address = new URL(url)
    address.searchParams.set('keyPrefix', `bench-${randomBytes(6).toString('hex')}:`)
    return prepareGateway(environment, root, { REDIS_URL: address.href })
  }

/** The gateway without schema checks and translation: it reads no schema and sends the body unchanged. */
export const gatewayVerbatim: PrepareContestant = (environment) =>
  prepareGateway(environment, root, { SCHEMA_VALIDATION: 'off', WRITE_DIALECT: 'verbatim' })

/** The gateway of another commit, to compare with this one in the same run. */
export const gatewayOf = (revision: string): PrepareContestant => {
  return (environment) => {
    const tree = join(environment.dir, 'against')
    mkdirSync(tree)
    execFileSync('sh', ['-c', 'git archive "$0" | tar -x -C "$1"', revision, tree], { cwd: root })
    symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'))
    return prepareGateway(environment, tree)
  }
}

const built = new Set<string>()

function build(tree: string): void {
  if (built.has(tree)) return
  built.add(tree)
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: tree, stdio: ['ignore', 'inherit', 'inherit'] })
}

/** The gateway of the checkout `tree` as production runs it, on a new vault with one API key and one location. */
async function prepareGateway(
  { upstreamUrl, dir }: BenchEnvironment,
  tree: string,
  settings = {}
): Promise<Contestant> {
  const port = await freePort()
  const env = {
    HOST: '127.0.0.1',
    PORT: String(port),
    ADMIN_HOST: '127.0.0.1',
    ADMIN_PORT: String(await freePort()),
    DATABASE_URL: `sqlite:${join(mkdtempSync(join(dir, 'store-')), 'gateway.db')}`,
    VAULT_KEYS: `bench:${randomBytes(32).toString('base64')}`,
    HIGHLEVEL_API_URL: upstreamUrl,
    CALLER_RATE_MAX: UNLIMITED,
    LOCATION_BURST_MAX: UNLIMITED,
    LOCATION_DAILY_MAX: UNLIMITED,
    LOG_LEVEL: 'info',
    ...settings
  }
  build(tree)
  const cli = commandLine(tree, env)
  const key = JSON.parse(cli('keys', 'create', '--name', 'bench', '--locations', '*', '--json')).key
  cli('locations', 'add-token', locationId)
  return {
    args: [join(tree, 'dist/server.js')],
    env,
    origin: `http://127.0.0.1:${port}`,
    headers: { authorization: `Bearer ${key}` }
  }
}

/** Runs commands of the CLI. `locations add-token` reads the token from stdin; other commands ignore stdin. */
function commandLine(tree: string, env: Record<string, string>) {
  return (...args: string[]): string =>
    execFileSync(process.execPath, [join(tree, 'src/cli/main.ts'), ...args], {
      env: { PATH: process.env['PATH'], ...env },
      input: privateToken,
      stdio: ['pipe', 'pipe', 'inherit'],
      encoding: 'utf8'
    })
}
