import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
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
type Prepare = (site: Site) => Promise<Contestant>

/** In the order of the report and of each round. */
export const contestants: Record<string, Prepare> = {
  floor: peer('floor'),
  gateway: prepareGateway,
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

/** The gateway as production starts it, on a store with one key and one connected location. */
async function prepareGateway({ upstreamUrl, dir }: Site): Promise<Contestant> {
  const port = await freePort()
  const env = {
    HOST: '127.0.0.1',
    PORT: String(port),
    ADMIN_HOST: '127.0.0.1',
    ADMIN_PORT: String(await freePort()),
    DATABASE_URL: `sqlite:${join(dir, 'gateway.db')}`,
    VAULT_KEYS: `bench:${randomBytes(32).toString('base64')}`,
    HIGHLEVEL_API_URL: upstreamUrl,
    CALLER_RATE_MAX: NO_LIMIT,
    LOCATION_BURST_MAX: NO_LIMIT,
    LOCATION_DAILY_MAX: NO_LIMIT,
    LOG_LEVEL: 'info'
  }
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  const key = JSON.parse(cli(env, 'keys', 'create', '--name', 'bench', '--locations', '*', '--json')).key
  cli(env, 'locations', 'add-token', locationId)
  return {
    args: [join(root, 'dist/server.js')],
    env,
    origin: `http://127.0.0.1:${port}`,
    headers: { authorization: `Bearer ${key}` }
  }
}

/** The token stands on stdin, where `locations add-token` reads it; the other commands do not look. */
function cli(env: Record<string, string>, ...args: string[]): string {
  return execFileSync(process.execPath, [join(root, 'src/cli/main.ts'), ...args], {
    env: { PATH: process.env['PATH'], ...env },
    input: privateIntegrationToken,
    stdio: ['pipe', 'pipe', 'inherit'],
    encoding: 'utf8'
  })
}
