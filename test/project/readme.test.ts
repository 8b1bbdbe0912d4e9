import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import t from 'tap'
import { Env } from '../../src/app/environment-variables.ts'
import { catalog } from '../../src/problems/catalog.ts'
import { temporaryFolder } from '../support/harness.ts'
import { freePort, startProcess } from '../support/process.ts'

const ROOT = join(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
const README = read('README.md')
const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...globSync('docs/**/*.md', { cwd: ROOT })]
const SANDBOX = join(import.meta.dirname, '../simulator/sandbox.ts')
const block = (start: string) => new RegExp(`\`\`\`\\w+\\n(${start}[\\s\\S]*?)\\n\`\`\``).exec(README)?.[1] ?? ''

async function environment() {
  return { PORT: await freePort(), ADMIN_PORT: await freePort(), SIMULATOR_PORT: await freePort() }
}

t.test('the sandbox prints the README’s curl, which gives the README’s answer to the letter', async (t) => {
  const env = await environment()
  const sandbox = startProcess(t, SANDBOX, env, { cwd: temporaryFolder(t) })
  const [printed] = await sandbox.waitForOutput(/curl [\s\S]*?'\n\n/)
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
  t.match(simulator.output.stderr, new RegExp(`Port ${env.SIMULATOR_PORT} on 127.0.0.1 is in use.*SIMULATOR_PORT`))
  t.match(gateway.output.stderr, new RegExp(`Port ${env.SIMULATOR_PORT} on 127.0.0.1 is in use.*set PORT`))
})

t.test('the README’s error is answered to the letter', async (t) => {
  const env = await environment()
  const sandbox = startProcess(t, SANDBOX, env, { cwd: temporaryFolder(t) })
  await sandbox.waitForOutput(/curl [\s\S]*?'\n\n/)
  const [, curl = '', answer = ''] =
    /## An error[\s\S]*?```sh\n([\s\S]*?)\n```[\s\S]*?```json\n([\s\S]*?)\n```/.exec(README) ?? []

  t.equal(execFileSync('bash', ['-c', curl.replace(':3000/', `:${env.PORT}/`)], { encoding: 'utf8' }), answer)
})

t.test('the documents name every variable and every problem code, and no others', async (t) => {
  const rowsOf = (file: string, start: RegExp, cell: number) =>
    read(file)
      .split('\n')
      .filter((line) => start.test(line))
      .map((row) => row.split('|')[cell] ?? '')
  const named = (pattern: RegExp, from: string[]) =>
    [...new Set(from.flatMap((text) => [...text.matchAll(pattern)].map(([, name]) => name)))].sort()

  const variables = named(/`([A-Z_]+)`/g, rowsOf('docs/configuration.md', /^\| `[A-Z]/, 1))
  const codes = named(/`([a-z-]+)`/g, rowsOf('docs/errors.md', /^\| \d/, 2))

  t.strictSame(variables, Object.keys(Env.properties).sort())
  t.strictSame(codes, Object.keys(catalog).sort())
})

t.test('every link, path and script that the documents name is there', async (t) => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-')
  const anchors = (file: string) => [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => slug(heading))

  for (const file of DOCUMENTS) {
    for (const [, target = ''] of read(file).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const linked = path === '' ? file : join(dirname(file), path)
      t.ok(existsSync(join(ROOT, linked)), `${file} links ${target}`)
      if (anchor !== undefined) t.ok(anchors(linked).includes(anchor), `${file} links ${target}`)
    }
    for (const [, path = ''] of read(file).matchAll(/`((?:src|test|bench|docs|\.ci)\/[\w./-]*)`/g))
      t.ok(existsSync(join(ROOT, path)), `${file} names ${path}`)
    for (const [, script = ''] of read(file).matchAll(/npm run (?:-s )?([\w:-]+)/g))
      t.ok(script in scripts, `${file} names npm run ${script}`)
  }
})

t.test('the README fits on two screens, and long tables stand in docs', async (t) => {
  const tables = README.split(/\n(?!\|)/).map(
    (block) => block.split('\n').filter((line) => line.startsWith('|')).length
  )

  t.ok(README.split('\n').length <= 121)
  t.ok(Math.max(...tables) <= 12, 'ten rows, a head and a rule')
})
