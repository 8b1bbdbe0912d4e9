import { requireNode } from '../shared/node-version.ts'

requireNode()
const { runCli } = await import('./run.ts')
// A connection that failed half open would keep the process for a minute.
process.exit(await runCli(process.argv.slice(2), process))
