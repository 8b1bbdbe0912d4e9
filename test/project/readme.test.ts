import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { Env } from '../../src/app/environment.ts'
import { catalog } from '../../src/problems/catalog.ts'
import { temporaryFolder } from '../support/harness.ts'
import { freePort, startProcess } from '../support/process.ts'

const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
const SANDBOX = join(import.meta.dirname, '../simulator/sandbox.ts')
const block = (start: string) => new RegExp(`\`\`\`\\w+\\n(${start}[\\s\\S]*?)\\n\`\`\``).exec(README)?.[1] ?? ''

async function environment() {
  return { PORT: await freePort(), ADMIN_PORT: await freePort(), SIMULATOR_PORT: await freePort() }
}

t.test('the sandbox prints the README’s curl, which gives the README’s answer to the letter', async (t) => {
  const env = await environment()
  const sandbox = startProcess(t, SANDBOX, env, { cwd: temporaryFolder(t) })
  const [printed] = await sandbox.writes(/curl [\s\S]*?'\n\n/)
  const curl = block('curl')

  const answer = execFileSync('bash', ['-c', curl.replace(':3000/', `:${env.PORT}/`)], { encoding: 'utf8' })

  t.equal(printed.trim().replace(`:${env.PORT}/`, ':3000/'), curl)
  t.equal(answer, block('\\{'))
  sandbox.kill('SIGINT')
  t.equal(await sandbox.ended, 0)
})

t.test('a sandbox whose port is taken says which one and what to do', async (t) => {
  const env = await environment()
  const holder = createServer().listen(Number(env.SIMULATOR_PORT), '127.0.0.1')
  await once(holder, 'listening')
  t.teardown(() => holder.close())

  const simulator = startProcess(t, SANDBOX, env, { cwd: temporaryFolder(t) })
  const gateway = startProcess(
    t,
    SANDBOX,
    { ...(await environment()), PORT: env.SIMULATOR_PORT },
    { cwd: temporaryFolder(t) }
  )

  t.strictSame([await simulator.ended, await gateway.ended], [1, 1])
  t.match(simulator.output.stderr, new RegExp(`Port ${env.SIMULATOR_PORT} of 127.0.0.1 is taken.*SIMULATOR_PORT`))
  t.match(gateway.output.stderr, new RegExp(`Port ${env.SIMULATOR_PORT} of 127.0.0.1 is taken.*set PORT`))
})

t.test('the README names every variable and every problem code, and no others', async (t) => {
  const rows = README.split('\n').filter((line) => line.startsWith('| '))
  const named = (pattern: RegExp, from: string[]) =>
    [...new Set(from.flatMap((row) => [...row.matchAll(pattern)].map(([, name]) => name)))].sort()
  const variables = rows.filter((row) => /^\| `[A-Z]/.test(row)).map((row) => row.split('|')[1] ?? '')
  const codes = rows.filter((row) => /^\| \d/.test(row)).map((row) => row.split('|')[2] ?? '')

  t.strictSame(named(/`([A-Z_]+)`/g, variables), Object.keys(Env.properties).sort())
  t.strictSame(named(/`([a-z-]+)`/g, codes), Object.keys(catalog).sort())
})
