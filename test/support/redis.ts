import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { freePort, onProcessExit } from './process.ts'

/** The skip message of tests that need Redis. */
export const NO_REDIS = 'no Redis: set REDIS_URL to a server, or install one (Debian: redis-server)'

const LOCAL = 'redis://127.0.0.1:6379/0'

/** The URL of the server: the one in REDIS_URL, a local one, or one that is started here. */
let server: Promise<string | undefined> | undefined

async function isReachable(url: string): Promise<boolean> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 2_000 })
  client.on('error', () => undefined)
  const isUp = await client.connect().then(
    () => client.ping().then(() => true),
    () => false
  )
  client.disconnect()
  return isUp
}

async function startServer(): Promise<string | undefined> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'records-gateway-redis-'))
  const args = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]
  const child = spawn('redis-server', args, { stdio: 'ignore' })
  const isMissing = once(child, 'error').then(() => true)
  onProcessExit(() => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  const url = `redis://127.0.0.1:${port}/0`
  for (let i = 0; i < 100; i += 1) {
    if (await Promise.race([isMissing, sleep(50, false)])) return undefined
    if (await isReachable(url)) {
      child.unref()
      return url
    }
  }
  return undefined
}

async function findServer(): Promise<string | undefined> {
  const given = process.env['REDIS_URL']
  if (given !== undefined && given !== '') return given
  return (await isReachable(LOCAL)) ? LOCAL : startServer()
}

/**
 * A Redis URL with a key prefix that no other test uses; `undefined` if no Redis is available. `port` is that of a
 * proxy to the server.
 */
export async function redisUrl(port?: number): Promise<string | undefined> {
  server ??= findServer()
  const found = await server
  if (found === undefined) return undefined
  const url = new URL(found)
  if (port !== undefined) url.host = `127.0.0.1:${port}`
  url.searchParams.set('keyPrefix', `test-${randomBytes(6).toString('hex')}:`)
  return url.href
}

/** Host and port of the server, for a proxy. */
export async function redisAddress(): Promise<{ host: string; port: number } | undefined> {
  server ??= findServer()
  const found = await server
  if (found === undefined) return undefined
  const { hostname, port } = new URL(found)
  return { host: hostname, port: Number(port || 6_379) }
}

/** A test that gets a Redis URL. Skipped with a message if no Redis is available. */
export function withRedis(name: string, run: (t: Test, url: string) => Promise<void>): void {
  t.test(name, async (t) => {
    const url = await redisUrl()
    if (url === undefined) t.pass('not run', { skip: NO_REDIS })
    else await run(t, url)
  })
}
