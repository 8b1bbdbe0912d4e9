import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { locationId, privateIntegrationToken } from './example.ts'
import { freePort } from './processes.ts'

const root = join(import.meta.dirname, '..')
const peers = join(import.meta.dirname, 'peers')
const NO_LIMIT = '1000000000'

/** What it takes to start a contestant, again and again, and to call it. */
export interface Contestant {
  readonly args: readonly string[]
  readonly env: Record<string, string>
  readonly origin: string
  readonly headers: Record<string, string>
}
/** `dir` is a directory of this run alone. */
export interface Site {
  readonly upstreamUrl: string
  readonly dir: string
}
export type Prepare = (site: Site) => Promise<Contestant>

/** In the order of the report and of each round. */
export const contestants: Record<string, Prepare> = {
  floor: peer('floor'),
  gateway: (site) => prepareGateway(site, root),
  'reply-from': peer('reply-from'),
  'express-axios': peer('express-axios')
}

function peer(name: string): Prepare {
  return async ({ upstreamUrl }) => {
    if (!existsSync(join(peers, 'node_modules'))) {
      execFileSync('npm', ['ci', '--prefix', peers], { cwd: peers, stdio: ['ignore', 'ignore', 'inherit'] })
    }
    const port = await freePort()
    return {
      args: [join(peers, `${name}.js`)],
      env: { PORT: String(port), UPSTREAM_URL: upstreamUrl, UPSTREAM_TOKEN: privateIntegrationToken },
      origin: `http://127.0.0.1:${port}`,
      headers: {}
    }
  }
}

/** The gateway with its limits shared by all processes that know this Redis. */
export const gatewayWithRedis =
  (url: string): Prepare =>
  (site) => {
    const address = new URL(url)
    address.searchParams.set('keyPrefix', `bench-${randomBytes(6).toString('hex')}:`)
    return prepareGateway(site, root, { REDIS_URL: address.href })
  }

/** The gateway without what it does to values: no live schema is read, the body goes as it came. */
export const gatewayVerbatim: Prepare = (site) =>
  prepareGateway(site, root, { SCHEMA_VALIDATION: 'off', WRITE_DIALECT: 'verbatim' })

/** The gateway of another commit, to be compared with this one in the same run. */
export const gatewayOf = (revision: string): Prepare => {
  return (site) => {
    const tree = join(site.dir, 'against')
    mkdirSync(tree)
    execFileSync('sh', ['-c', 'git archive "$0" | tar -x -C "$1"', revision, tree], { cwd: root })
    symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'))
    return prepareGateway(site, tree)
  }
}

const built = new Set<string>()

function build(tree: string): void {
  if (built.has(tree)) return
  built.add(tree)
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: tree, stdio: ['ignore', 'inherit', 'inherit'] })
}

/** The gateway of `tree` as production starts it, on a store of its own with one key and one connected location. */
async function prepareGateway({ upstreamUrl, dir }: Site, tree: string, settings = {}): Promise<Contestant> {
  const port = await freePort()
  const env = {
    HOST: '127.0.0.1',
    PORT: String(port),
    ADMIN_HOST: '127.0.0.1',
    ADMIN_PORT: String(await freePort()),
    DATABASE_URL: `sqlite:${join(mkdtempSync(join(dir, 'store-')), 'gateway.db')}`,
    VAULT_KEYS: `bench:${randomBytes(32).toString('base64')}`,
    HIGHLEVEL_API_URL: upstreamUrl,
    CALLER_RATE_MAX: NO_LIMIT,
    LOCATION_BURST_MAX: NO_LIMIT,
    LOCATION_DAILY_MAX: NO_LIMIT,
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

/** The token stands on stdin, where `locations add-token` reads it; the other commands do not look. */
function commandLine(tree: string, env: Record<string, string>) {
  return (...args: string[]): string =>
    execFileSync(process.execPath, [join(tree, 'src/cli/main.ts'), ...args], {
      env: { PATH: process.env['PATH'], ...env },
      input: privateIntegrationToken,
      stdio: ['pipe', 'pipe', 'inherit'],
      encoding: 'utf8'
    })
}
