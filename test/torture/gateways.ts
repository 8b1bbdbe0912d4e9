import { SEED } from '../simulator/seed.ts'
import type { Simulator } from '../simulator/simulator.ts'
import type { Cluster, GatewayProcess } from '../support/gateway-process.ts'

export const locationId = (n: number) => `torture${String(n).padStart(3, '0')}`
export const subject = (n: number) => `location:${locationId(n)}` as const
const recordId = (n: number) => n.toString(16).padStart(24, '0')
const recordPath = (n: number) => `/records/${SEED.schemaKey}/${recordId(n)}?locationId=${locationId(n)}`

export type Gateways = Awaited<ReturnType<typeof startGateways>>

/** Starts gateways that can be killed and restarted, and counts the outcomes of their calls. */
export async function startGateways(cluster: Cluster, count: number) {
  const start = () => cluster.start({ LOG_LEVEL: 'info' })
  const gateways: (GatewayProcess | undefined)[] = await Promise.all(Array.from({ length: count }, start))
  const outcomes: Record<string, number> = {}
  let restarting: Promise<unknown> = Promise.resolve()

  return {
    outcomes,
    get: (n: number) => gateways[n],
    allRunning: () => gateways.every((gateway) => gateway !== undefined),
    allRestarted: () => restarting,

    /** Resolves when the gateway has been killed. Its restart goes on. */
    async restart(n: number): Promise<void> {
      const victim = gateways[n]
      gateways[n] = undefined
      victim?.kill('SIGKILL')
      await victim?.ended
      restarting = restarting.then(async () => {
        gateways[n] = await start()
      })
    },

    /** Gives each location a record, and connects it. */
    async connect(simulator: Simulator, locations: number): Promise<void> {
      for (let n = 0; n < locations; n += 1) {
        simulator.putRecord(SEED.schemaKey, { id: recordId(n), locationId: locationId(n) })
        await gateways[n % count]?.install(simulator.connect(locationId(n)).code)
      }
    },

    /** Calls a gateway for a location. The outcome is `gone` if the gateway is not running or is killed meanwhile. */
    async call(n: number, location: number): Promise<string> {
      const gateway = gateways[n]
      const path = recordPath(location)
      const outcome = gateway === undefined ? 'gone' : await gateway.outcome({}, path).catch(() => 'gone')
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
      return outcome
    }
  }
}
