import type { SimulatorOptions } from './settings.ts'
import { startSimulator } from './simulator.ts'

/** Runs the simulator as a process. */
try {
  const simulator = await startSimulator(loadOptions(process.env))
  console.log(`HighLevel simulator listening on ${simulator.origin}`)
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void simulator.close())
} catch (error) {
  console.error(describe(error))
  process.exitCode = 1
}

function loadOptions(env: NodeJS.ProcessEnv): SimulatorOptions {
  const port = Number(env['PORT'] ?? '4010')
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error('PORT must be an integer from 0 to 65535')
  const [clientId, clientSecret] = [env['SIMULATOR_CLIENT_ID'], env['SIMULATOR_CLIENT_SECRET']]
  return {
    host: env['HOST'] ?? '127.0.0.1',
    port,
    ...(clientId === undefined ? {} : { clientId }),
    ...(clientSecret === undefined ? {} : { clientSecret })
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (!('code' in error) || error.code !== 'EADDRINUSE') return error.message
  return `${error.message}. Set PORT to a free port, or stop the process that listens on it.`
}
