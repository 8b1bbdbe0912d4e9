import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { type Config, loadConfig } from '../../src/app/config.ts'
import { startGateway as open } from '../../src/app/lifecycle.ts'
import { credentialHash } from '../../src/grants/vault/credential-hash.ts'
import { openLog } from '../../src/observability/log.ts'
import { SEED } from '../simulator/seed.ts'
import { startSimulator as openSimulator, type Simulator, type SimulatorOptions } from '../simulator/simulator.ts'
import { withWallTime } from './clock.ts'

export const VAULT_KEYS = `k1:${Buffer.alloc(32, 1).toString('base64')}`
export const RECORD = `/records/${SEED.schemaKey}/${SEED.recordId}?locationId=${SEED.locationId}`

/** Where cleanup is registered: a tap test, or the torture, which runs without tap. */
export type Scope = Pick<Test, 'teardown'>

/** Starts a simulated HighLevel that is closed when the test ends. */
export async function startSimulator(t: Scope, options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = await openSimulator(options)
  t.teardown(() => simulator.close())
  return simulator
}

/** A folder that is removed when the test ends. */
export function temporaryFolder(t: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), 'records-gateway-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Polls until `condition` is true. The test's own timeout is the limit. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(5)
}

export interface GatewayOptions {
  simulator?: Simulator
  env?: Record<string, string>
  /** The wall time. Time spans stay real, since the gateway talks through real sockets. */
  now?: () => number
  /** Default true: connects the seed location through the OAuth flow. */
  connected?: boolean
}

export function environment(
  t: Scope,
  simulator: Simulator | undefined,
  env: Record<string, string> = {}
): Record<string, string> {
  return {
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_PORT: '0',
    DATABASE_URL: `sqlite:${temporaryFolder(t)}/gateway.db`,
    VAULT_KEYS,
    CALLER_RATE_MAX: '100000',
    ...(simulator && {
      HIGHLEVEL_API_URL: simulator.origin,
      HIGHLEVEL_CLIENT_ID: simulator.clientId,
      HIGHLEVEL_CLIENT_SECRET: simulator.clientSecret
    }),
    ...env
  }
}

interface CallOptions {
  /** The API key; `null` sends none. */
  key?: string | null
  method?: string
  headers?: Record<string, string>
  /** An object is sent as JSON, a string or Buffer unchanged. */
  body?: object | string | Buffer
}

export interface Reply {
  status: number
  headers: Headers
  text: string
  json: Record<string, unknown>
}

/** Returns a function that calls the gateway at `origin`, with `defaultKey` unless the call says otherwise. */
const createCall =
  (origin: string, defaultKey: string) =>
  async (path: string, { key = defaultKey, method = 'GET', headers = {}, body }: CallOptions = {}): Promise<Reply> => {
    const isJson = typeof body === 'object' && !Buffer.isBuffer(body)
    const response = await fetch(origin + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers
      },
      ...(body !== undefined && { body: isJson ? JSON.stringify(body) : (body as string | Buffer<ArrayBuffer>) })
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, json: parse(text) }
  }

/** Starts a gateway with real listeners that is closed when the test ends. `key` may use every location. */
export async function startGateway(t: Test, { simulator, env = {}, now, connected = true }: GatewayOptions = {}) {
  const config: Config = loadConfig(environment(t, simulator, env))
  const lines: string[] = []
  const log = openLog('debug', { write: (line: string) => void lines.push(line) })
  const gateway = await open(config, log, now && withWallTime(now))
  let isOpen = true
  const close = async () => {
    if (isOpen) await gateway.close()
    isOpen = false
  }
  t.teardown(close)

  const key = 'rgk_test-key-of-every-location'
  const addKey = (id: string, secret: string, locations: string[]) =>
    gateway.vault.addKey({ id, name: id, hash: credentialHash(secret), locations })
  // Another gateway of the same test may have added the key to the same vault.
  if ((await gateway.vault.findKey(credentialHash(key))) === undefined) await addKey('key_all', key, ['*'])

  const call = createCall(gateway.origin, key)
  /** Sends a PATCH to the seed record. */
  const patch = (body: object | string | Buffer, options: CallOptions = {}, path = RECORD) =>
    call(path, { method: 'PATCH', body, ...options })
  /** Opens the OAuth callback, as a browser does at the end of an install. */
  const install = (code: string) => call(`/oauth/callback?${new URLSearchParams({ code })}`, { key: null })

  if (simulator && connected) {
    const reply = await install(simulator.connect().code)
    if (reply.status !== 200) throw new Error(`The seed location could not be connected: ${reply.text}`)
    simulator.clearReceived()
  }
  const logged = () => lines.map((line) => parse(line))
  return { ...gateway, close, config, key, addKey, call, patch, install, lines, logged }
}

export type TestGateway = Awaited<ReturnType<typeof startGateway>>

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}

/** Sends raw bytes on a new connection. Resolves with everything received until the server closes it. */
export function sendRaw(origin: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(origin)
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(Number(port), hostname, () => socket.write(bytes))
    socket.on('data', (chunk) => (text += chunk))
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
  })
}
