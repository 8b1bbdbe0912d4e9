import { loadConfig } from './app/config.ts'
import { endWithGrace } from './app/end-with-grace.ts'
import { startGateway } from './app/lifecycle.ts'
import { openLog } from './observability/log.ts'
import { requireNode } from './shared/node-version.ts'

/** The process of `npm start` and of the container. */
async function main(): Promise<void> {
  requireNode()
  const config = loadConfig(process.env)
  const output = openLog(config.logLevel)
  const { log } = output
  const gateway = await startGateway(config, output)
  log.info({ origin: gateway.origin, adminOrigin: gateway.adminOrigin }, 'ready')

  // The gateway keeps to the grace time by itself, but for a grant that is not yet saved.
  endWithGrace(async ({ signal, err }) => {
    if (err) log.fatal({ err }, 'ending after a fault')
    else log.info({ signal }, 'ending')
    await gateway.close()
    log.info('ended')
    await output.close()
  })
}

main().catch((error: unknown) => {
  // Before there is a log, and where its destination may be what failed: one line for whoever started the process.
  process.stderr.write(`records-gateway cannot start: ${error instanceof Error ? error.message : String(error)}\n`)
  // At once: a connection to a database that failed half open would keep the process for a minute.
  process.exit(1)
})
