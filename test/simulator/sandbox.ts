import { rmSync } from 'node:fs'
import { type Config, loadConfig } from '../../src/app/config.ts'
import { type Gateway, ListenError, startGateway } from '../../src/app/lifecycle.ts'
import { shutDownOnSignal } from '../../src/app/shutdown-signals.ts'
import { credentialHash } from '../../src/grants/vault/credential-hash.ts'
import { openLog } from '../../src/observability/log.ts'
import { SEED } from './seed.ts'
import { type Simulator, startSimulator } from './simulator.ts'

/** Public, and of no use outside the sandbox: no other gateway uses its vault. */
const SANDBOX_KEY = 'rgk_sandbox'
const FOLDER = 'data/sandbox'
const SIMULATOR_PORT = Number(process.env['SIMULATOR_PORT'] ?? '4010')

/** Records are dated from here in steps of a minute, so that answers are the same in every run, as in the README. */
const FIRST_DATE = Date.UTC(2026, 0, 5, 9)

const sandboxConfig = (simulator: Simulator, port: string, adminPort: string): Config =>
  loadConfig({
    HOST: '127.0.0.1',
    PORT: port,
    ADMIN_PORT: adminPort,
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    DATABASE_URL: `sqlite:${FOLDER}/gateway.db`,
    VAULT_KEYS: `sandbox:${Buffer.alloc(32, 'sandbox').toString('base64')}`,
    HIGHLEVEL_API_URL: simulator.origin,
    HIGHLEVEL_CLIENT_ID: simulator.clientId,
    HIGHLEVEL_CLIENT_SECRET: simulator.clientSecret,
    HIGHLEVEL_INSTALL_URL: installLink(simulator, port),
    LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'warn'
  })

const installLink = ({ origin, clientId }: Simulator, port: string) => {
  const redirectUri = `http://127.0.0.1:${port}/oauth/callback`
  const query = {
    response_type: 'code',
    redirect_uri: redirectUri,
    client_id: clientId,
    version_id: clientId.split('-')[0] ?? ''
  }
  return `${origin}/v2/oauth/chooselocation?${new URLSearchParams(query)}`
}

/** Does what an administrator does in a browser: opens the install link, chooses a location, follows the redirect. */
async function connect({ origin }: Gateway, simulator: Simulator): Promise<void> {
  const install = await fetch(`${origin}/oauth/install`, { redirect: 'manual' })
  const form = new URL(install.headers.get('location') ?? '').searchParams
  form.set('locationId', SEED.locationId)
  const chosen = await fetch(`${simulator.origin}/v2/oauth/choose`, { method: 'POST', body: form, redirect: 'manual' })
  const callback = await fetch(chosen.headers.get('location') ?? '')
  if (!callback.ok) throw new Error(`The sandbox location could not be connected: ${await callback.text()}`)
}

const welcome = ({ origin, adminOrigin }: Gateway, simulator: Simulator) => `
records-gateway sandbox
  gateway     ${origin}  (docs: ${origin}/docs)
  operations  ${adminOrigin}/metrics
  simulator   ${simulator.origin}  (simulates HighLevel; nothing leaves this machine)

Location ${SEED.locationId} is connected. Try:

curl -sS -X PATCH '${origin}/records/${SEED.schemaKey}/${SEED.recordId}?locationId=${SEED.locationId}' \\
  -H 'Authorization: Bearer ${SANDBOX_KEY}' \\
  -H 'Content-Type: application/json' \\
  -d '{"properties":{"ticket_name":"Customer can log in again","customer_number":1425}}'

Connect another location in a browser: ${origin}/oauth/install
Ctrl-C ends both.
`

async function startSandboxSimulator(): Promise<Simulator> {
  let minutes = 0
  const recordNow = () => FIRST_DATE + 60_000 * minutes++
  try {
    return await startSimulator({ port: SIMULATOR_PORT, recordNow })
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'EADDRINUSE') throw cause
    throw new ListenError(
      `Port ${SIMULATOR_PORT} on 127.0.0.1 is in use: stop the process that listens on it, or set SIMULATOR_PORT`,
      { cause }
    )
  }
}

async function main(): Promise<void> {
  const simulator = await startSandboxSimulator()
  try {
    // The simulator forgets its tokens when it ends, so those of an earlier run would be invalid.
    rmSync(FOLDER, { recursive: true, force: true })
    const config = sandboxConfig(simulator, process.env['PORT'] ?? '3000', process.env['ADMIN_PORT'] ?? '3001')
    const log = openLog(config.logLevel)
    const gateway = await startGateway(config, log)
    await gateway.vault.addKey({
      id: 'key_sandbox',
      name: 'sandbox',
      hash: credentialHash(SANDBOX_KEY),
      locations: ['*']
    })
    await connect(gateway, simulator)
    shutDownOnSignal(async () => {
      await gateway.close()
      await simulator.close()
      await log.close()
    })
    process.stdout.write(welcome(gateway, simulator))
  } catch (error) {
    await simulator.close()
    throw error
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`The sandbox cannot start: ${error instanceof Error ? error.message : String(error)}\n`)
  // Exits at once: open listeners and connections would keep the process alive.
  process.exit(1)
})
