import { join } from 'node:path'
import { loadConfig } from '../../src/app/config.ts'
import { credentialHash } from '../../src/grants/vault/credential-hash.ts'
import { openVault } from '../../src/grants/vault/open.ts'
import type { Vault } from '../../src/grants/vault/vault.ts'
import { SEED } from '../simulator/seed.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { CHANGE } from './calls.ts'
import { createDatabaseUrl, type DatabaseKind } from './databases.ts'
import { environment, RECORD, type Scope } from './harness.ts'
import { startProcess } from './process.ts'

const SERVER = join(import.meta.dirname, '../../src/server.ts')
const KEY = 'rgk_of-a-process'

export const LOCATION = `location:${SEED.locationId}` as const

/** Starts a gateway in a process, as production runs it. Resolves when it is ready for calls. */
async function startGatewayProcess(t: Scope, variables: Record<string, string>, openFiles?: number) {
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
    /** Sends a PATCH. Returns the status and, for an error, the code of the problem. */
    async outcome(headers?: Record<string, string>, path?: string): Promise<string> {
      const reply = await patch(headers, path)
      const { code = '' } = (await reply.json()) as { code?: string }
      return `${reply.status} ${code}`.trim()
    },
    install: async (code: string) => {
      const reply = await fetch(`${origin}/oauth/callback?${new URLSearchParams({ code })}`)
      if (reply.status !== 200) throw new Error(await reply.text())
    },
    /** The log lines so far. Output arrives in chunks, so the last lines may still be missing. */
    lines(): Record<string, unknown>[] {
      const text = process.output.stdout.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'))
      return text.map((line) => JSON.parse(line) as Record<string, unknown>)
    }
  }
}

export type GatewayProcess = Awaited<ReturnType<typeof startGatewayProcess>>

/** A vault with an API key for all locations, shared by any number of gateway processes that the test starts. */
export async function openCluster(
  t: Scope,
  kind: DatabaseKind,
  simulator: Simulator,
  env: Record<string, string> = {}
) {
  const DATABASE_URL = await createDatabaseUrl(t, kind)
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
    start: (extraEnv: Record<string, string> = {}, openFiles?: number) =>
      startGatewayProcess(t, { ...variables, ...extraEnv }, openFiles),
    grant: () => vault.loadGrant(LOCATION)
  }
}

export type Cluster = NonNullable<Awaited<ReturnType<typeof openCluster>>>
