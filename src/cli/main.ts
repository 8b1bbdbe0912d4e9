import { requireNode } from '../shared/node-version.ts'

requireNode()
const { runCli } = await import('./run.ts')
process.exitCode = await runCli(process.argv.slice(2), process)
// Output still gets flushed. A half-open connection would otherwise keep the process alive for a minute.
if (process.exitCode !== 0) setTimeout(() => process.exit(), 1_000).unref()
