import { requireNode } from '../shared/node-version.ts'

requireNode()
const { runCli } = await import('./run.ts')
process.exitCode = await runCli(process.argv.slice(2), process)
// What is written still goes out. But a connection that failed half open would keep the process for a minute.
if (process.exitCode !== 0) setTimeout(() => process.exit(), 1_000).unref()
