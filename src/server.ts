import { loadConfig } from './app/config.ts'
import { startGateway } from './app/lifecycle.ts'
import { shutDownOnSignal } from './app/shutdown-signals.ts'
import { openLog } from './observability/log.ts'
import { requireNode } from './shared/node-version.ts'

/** The entry point of `npm start` and of the container image. */
async function main(): Promise<void> {
  requireNode()
  const config = loadConfig(process.env)
  const output = openLog(config.logLevel)
  const { log } = output
  const gateway = await startGateway(config, output)
  log.info({ origin: gateway.origin, adminOrigin: gateway.adminOrigin }, 'ready')

  // No time limit here: `close` keeps to SHUTDOWN_GRACE_MS, and exceeds it only to save a grant.
  shutDownOnSignal(async ({ signal, err }) => {
    if (err) log.fatal({ err }, 'shutting down after an uncaught error')
    else log.info({ signal }, 'shutting down')
    await gateway.close()
    log.info('shutdown complete')
    await output.close()
  })
}

main().catch((error: unknown) => {
  // To stderr: the log may not be open yet, or its destination may be what failed.
  process.stderr.write(`records-gateway cannot start: ${error instanceof Error ? error.message : String(error)}\n`)
  // Exits at once: a half-open database connection would keep the process alive for a minute.
  process.exit(1)
})
