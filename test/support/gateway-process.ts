import { join } from 'node:path'
import { loadConfig } from '../../src/app/config.ts'
import { credentialHash } from '../../src/grants/vault/credential-hash.ts'
import { openVault } from '../../src/grants/vault/open.ts'
import type { Vault } from '../../src/grants/vault/vault.ts'
import { SEED } from '../simulator/seed.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { environment, RECORD, type Scope } from './harness.ts'
import { startProcess } from './process.ts'
import { type StoreName, storeUrl } from './stores.ts'

const SERVER = join(import.meta.dirname, '../../src/server.ts')
const KEY = 'rgk_of-a-process'

export const LOCATION = `location:${SEED.locationId}` as const
export const CHANGE = { properties: { customer_number: 5 } }

/** A gateway as production runs it, a process of its own, ready for calls. */
export async function startGatewayProcess(t: Scope, variables: Record<string, string>, openFiles?: number) {
  const process = startProcess(t, SERVER, variables, { ...(openFiles !== undefined && { openFiles }) })
  const [, origin = ''] = await process.waitForOutput(/"origin":"([^"]+)"/)
  const [, adminOrigin = ''] = await process.waitForOutput(/"adminOrigin":"([^"]+)"/)
  const patch = (headers: Record<string, string> = {}, path = RECORD) =>
    fetch(origin + path, {
      method: 'PATCH',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify(CHANGE)
    })
  return {
    ...process,
    origin,
    adminOrigin,
    patch,
    /** The status of a call and the code of its problem. */
    async outcome(headers?: Record<string, string>, path?: string): Promise<string> {
      const reply = await patch(headers, path)
      const { code = '' } = (await reply.json()) as { code?: string }
      return `${reply.status} ${code}`.trim()
    },
    install: async (code: string) => {
      const reply = await fetch(`${origin}/oauth/callback?${new URLSearchParams({ code })}`)
      if (reply.status !== 200) throw new Error(await reply.text())
    },
    /** What the process has logged so far. Lines are written in pieces: the last ones may be on their way. */
    lines(): Record<string, unknown>[] {
      const text = process.output.stdout.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'))
      return text.map((line) => JSON.parse(line) as Record<string, unknown>)
    }
  }
}

export type GatewayProcess = Awaited<ReturnType<typeof startGatewayProcess>>

/** One store with a key for all locations, and gateways on it: the site of a test with several processes. */
export async function openCluster(t: Scope, store: StoreName, simulator: Simulator, env: Record<string, string> = {}) {
  const DATABASE_URL = await storeUrl(t, store)
  if (DATABASE_URL === undefined) return undefined
  const variables = environment(t, simulator, { DATABASE_URL, ...env })
  const config = loadConfig(variables)
  const vault: Vault = await openVault(DATABASE_URL, config.vault.keys)
  t.teardown(() => vault.close())
  await vault.addKey({ id: 'key_all', name: 'all', hash: credentialHash(KEY), locations: ['*'] })
  return {
    url: DATABASE_URL,
    key: KEY,
    vault,
    variables,
    start: (more: Record<string, string> = {}, openFiles?: number) =>
      startGatewayProcess(t, { ...variables, ...more }, openFiles),
    grant: () => vault.loadGrant(LOCATION)
  }
}

export type Cluster = NonNullable<Awaited<ReturnType<typeof openCluster>>>
