import { requireNode } from '../shared/node-version.ts'

requireNode()
const { runCli } = await import('./run.ts')
process.exitCode = await runCli(process.argv.slice(2), process)
