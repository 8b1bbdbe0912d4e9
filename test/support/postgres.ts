import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, globSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Scope } from './harness.ts'
import { freePort, onProcessExit } from './process.ts'

/** The skip message of tests that need PostgreSQL. */
export const NO_POSTGRES =
  'no PostgreSQL: set DATABASE_URL to a server that allows creating databases, or install one (Debian: postgresql)'

const LOCAL = 'postgres://postgres@127.0.0.1:5432/postgres'

/** The URL of the server: the one in DATABASE_URL, a local one, or one that is started here. */
let server: Promise<string | undefined> | undefined
let started: { child: ChildProcess; folder: string } | undefined

const isReachable = async (url: string): Promise<boolean> => {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
  return client.connect().then(
    () => client.end().then(() => true),
    () => false
  )
}

async function findServer(): Promise<string | undefined> {
  const given = process.env['DATABASE_URL']
  if (given?.startsWith('postgres')) return given
  if (await isReachable(LOCAL)) return LOCAL
  const binaries = [...(process.env['PATH'] ?? '').split(':'), ...globSync('/usr/lib/postgresql/*/bin')]
  const folder = binaries.find((path) => existsSync(join(path, 'initdb')))
  return folder === undefined ? undefined : startServer(folder)
}

/** Starts a server that is stopped when this process exits. PostgreSQL refuses to run as root. */
async function startServer(binaries: string): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'records-gateway-postgres-'))
  const isRoot = process.getuid?.() === 0
  const as = (command: string, ...args: string[]): [string, string[]] =>
    isRoot ? ['setpriv', ['--reuid=postgres', '--regid=postgres', '--clear-groups', command, ...args]] : [command, args]
  if (isRoot) {
    chmodSync(folder, 0o700)
    spawnSync('chown', ['postgres', folder])
  }
  const data = join(folder, 'data')
  spawnSync(...as(join(binaries, 'initdb'), '-D', data, '-U', 'postgres', '-A', 'trust'))
  const port = await freePort()
  const child = spawn(...as(join(binaries, 'postgres'), '-D', data, '-p', port, '-k', folder, '-h', '127.0.0.1'), {
    stdio: 'ignore'
  })
  started = { child, folder }
  onProcessExit(() => {
    // pg_ctl waits until the server has stopped, so that nothing is written to the folder while it is removed.
    spawnSync(...as(join(binaries, 'pg_ctl'), '-D', data, '-m', 'immediate', 'stop'))
    rmSync(folder, { recursive: true, force: true })
  })
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  for (let tries = 0; tries < 100; tries += 1) {
    if (await isReachable(url)) return url
    await sleep(100)
  }
  return undefined
}

async function runAsAdmin(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(statement).finally(() => client.end())
}

/** Creates a database that is dropped when the test ends. `undefined` if no PostgreSQL is available. */
export async function postgresDatabase(t: Scope): Promise<string | undefined> {
  server ??= findServer()
  const url = await server
  if (url === undefined) return undefined
  const name = `records_gateway_test_${randomBytes(6).toString('hex')}`
  await runAsAdmin(url, `create database ${name}`)
  t.teardown(() => runAsAdmin(url, `drop database ${name} with (force)`))
  if (started) t.teardown(() => started?.child.unref())
  return Object.assign(new URL(url), { pathname: `/${name}` }).href
}

/** Opens a connection to a test database, closed when the test ends. */
export async function postgresClient(t: Scope, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  // Dropping the database at the end of the test breaks this connection.
  client.on('error', () => undefined)
  await client.connect()
  t.teardown(() => client.end().catch(() => undefined))
  return client
}
