import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Scope, temporaryFolder } from './harness.ts'
import { freePort, startCommand } from './process.ts'

/** The skip message of tests that need PgBouncer. */
export const NO_PGBOUNCER = 'no PgBouncer: install it (Debian: pgbouncer)'

const PATH = `${process.env['PATH']}:/usr/sbin`

export const hasPgBouncer = (): boolean => spawnSync('pgbouncer', ['--version'], { env: { PATH } }).status === 0

/** Starts a PgBouncer in front of the server of `url`, stopped when the test ends. `settings` override its defaults. */
export async function startPgBouncer(t: Scope, url: string, settings: Record<string, string | number> = {}) {
  const { hostname, port, username, password, pathname } = new URL(url)
  const listenPort = await freePort()
  const server = { host: hostname, port: port || '5432', user: username, ...(password && { password }) }
  const lines = (members: Record<string, string | number>) =>
    Object.entries(members).map(([name, value]) => `${name} = ${value}`)
  const config = [
    '[databases]',
    `* = ${Object.entries(server)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')}`,
    '[pgbouncer]',
    ...lines({ listen_addr: '127.0.0.1', listen_port: listenPort, unix_socket_dir: '', auth_type: 'any', ...settings })
  ]
  const folder = temporaryFolder(t)
  const file = join(folder, 'pgbouncer.ini')
  writeFileSync(file, `${config.join('\n')}\n`)
  // PgBouncer refuses to run as root.
  const runAs = process.getuid?.() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : []
  if (runAs.length > 0) spawnSync('chown', ['-R', 'postgres', folder])
  const { waitForOutput } = startCommand(t, [...runAs, 'pgbouncer', file], { PATH })
  await waitForOutput(/process up/)
  return `postgres://${username}@127.0.0.1:${listenPort}${pathname}`
}
