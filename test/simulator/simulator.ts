import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { handleConsent, isConsentPath } from './consent-page.ts'
import { CONTROL_PATH, handleControl } from './control-routes.ts'
import { type Controls, createControls } from './controls.ts'
import { handleRequest, readRequest } from './handle-request.ts'
import { type SimulatorOptions, withDefaults } from './settings.ts'
import { createWorld, type World } from './world.ts'

export type { Fault } from './faults.ts'

export type { SimulatorOptions } from './settings.ts'

/** Longer than any client keeps an idle connection, so that no request meets a connection that is being closed. */
const KEEP_ALIVE_MS = 65_000

/**
 * A simulated HighLevel: its API, its consent page, and controls for tests. The controls are methods here, and routes
 * under /_simulator/ for other processes.
 */
export interface Simulator extends Controls {
  origin: string
  clientId: string
  clientSecret: string
  /** The public key of webhook signatures, for the gateway's HIGHLEVEL_WEBHOOK_KEY. */
  webhookKey: string
  /** Destroys every connection, hanging ones too. */
  close(): Promise<void>
}

/** @throws the system's error if it cannot listen, such as EADDRINUSE */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const settings = withDefaults(options)
  const world = createWorld(settings)
  const controls = createControls(world)
  const server = createHighLevelServer(world, controls)
  server.listen(settings.port, settings.host)
  await once(server, 'listening')

  const { clientId, clientSecret } = settings
  return {
    ...controls,
    origin: originOf(server, settings.host),
    clientId,
    clientSecret,
    webhookKey: world.webhooks.webhookKey,
    close: () => close(server)
  }
}

function createHighLevelServer(world: World, controls: Controls): Server {
  const { settings } = world
  return createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (incoming, response) => {
    readRequest(incoming, settings.now, (request) => {
      if (request.path.startsWith(CONTROL_PATH)) handleControl(controls, request, response)
      else if (isConsentPath(request.path)) handleConsent(settings, controls, request, response)
      else handleRequest(world, request, response)
    })
  })
}

function originOf(server: Server, host: string): string {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}
