import { cpSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/app/config.ts'
import { credentialHash } from '../../src/grants/vault/credential-hash.ts'
import { openVault } from '../../src/grants/vault/open.ts'
import { environment, RECORD, startSimulator, temporaryFolder, until } from '../support/harness.ts'
import { freePort, startCommand } from '../support/process.ts'

const PROJECT = join(import.meta.dirname, '../..')
const KEY = 'rgk_of-an-npm-script'

/** The project in a folder of the test's own, so that neither its `.env` nor `dist` and `data` play a part. */
function projectFolder(t: Test): string {
  const folder = temporaryFolder(t)
  for (const name of ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src']) {
    cpSync(join(PROJECT, name), join(folder, name), { recursive: true })
  }
  for (const name of ['test', 'node_modules']) symlinkSync(join(PROJECT, name), join(folder, name))
  return folder
}

const runScript = (t: Test, script: string, env: Record<string, string>, folder = projectFolder(t)) =>
  // tap would have each Node process, npm and the compiler included, load its hooks; `env` makes way for npm.
  startCommand(t, ['env', '-u', 'NODE_OPTIONS', 'npm', 'run', script], { PATH: process.env['PATH'], ...env }, folder)

/** `npm start` with a location connected, and a call that HighLevel is working on. */
async function startWithCallUnderWay(t: Test) {
  const simulator = await startSimulator(t)
  const variables = environment(t, simulator)
  const config = loadConfig(variables)
  const vault = await openVault(config.vault.url, config.vault.keys)
  await vault.addKey({ id: 'key_all', name: 'all', hash: credentialHash(KEY), locations: ['*'] })
  await vault.close()
  const npm = runScript(t, 'start', variables)
  const [, origin = ''] = await npm.waitForOutput(/"origin":"([^"]+)"/)
  await fetch(`${origin}/oauth/callback?code=${simulator.connect().code}`)
  simulator.failNext({ kind: 'slow', delayMs: 1_500, method: 'PUT' })
  const reply = fetch(origin + RECORD, {
    method: 'PATCH',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: '{"properties":{"customer_number":5}}'
  })
  await until(() => simulator.received({ method: 'PUT' }).length > 0)
  return { npm, reply }
}

t.test('SIGTERM to npm start has the gateway answer the call under way, and nothing is left', async (t) => {
  const { npm, reply } = await startWithCallUnderWay(t)

  npm.kill('SIGTERM')

  t.equal((await reply).status, 200)
  t.equal(await npm.ended, 0)
  t.match(npm.output.stdout, /"msg":"shutdown complete"/)
  t.notOk(npm.isRunning())
})

t.test('Ctrl-C under npm start, which arrives twice, lets the call under way end as well', async (t) => {
  const { npm, reply } = await startWithCallUnderWay(t)

  npm.killGroup('SIGINT')

  t.equal((await reply).status, 200)
  t.equal(await npm.ended, 0)
  t.match(npm.output.stdout, /"signal":"SIGINT"/)
  t.notOk(npm.isRunning())
})

t.test('SIGTERM to npm run sandbox ends gateway and simulator', async (t) => {
  const npm = runScript(t, 'sandbox', { PORT: await freePort(), ADMIN_PORT: '0', SIMULATOR_PORT: '0' })
  await npm.waitForOutput(/Ctrl-C ends both/)

  npm.kill('SIGTERM')

  t.equal(await npm.ended, 0)
  t.notOk(npm.isRunning())
})

t.test('SIGTERM while npm start builds ends it before there is a server', async (t) => {
  const folder = projectFolder(t)
  const npm = runScript(t, 'start', environment(t, undefined), folder)
  // npm says what it runs before it runs it.
  await npm.waitForOutput(/npm run --silent build/)

  npm.kill('SIGTERM')

  t.not(await npm.ended, 0)
  await until(() => !npm.isRunning())
  t.notMatch(npm.output.stdout, /"msg":"ready"/)
})

t.test('each npm script that runs a program of its own makes way for it', async (t) => {
  const { scripts } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }

  for (const [name, script] of Object.entries(scripts)) {
    if (script.includes('node ')) t.match(script, /(^|&& )exec node [^&]*$/, name)
  }
})
