// drive-server.mjs HEALTHCHECK SERVER: both are JSON arrays of words. Starts SERVER on free ports, waits until /readyz answers
// 200 and HEALTHCHECK (which must have failed before) agrees, sends SIGTERM, and fails unless SERVER exits with 0.
// It signals its own child, because container tools need not pass signals on.
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const LIMIT_MS = 30_000
const [health, command] = process.argv.slice(-2).map((words) => JSON.parse(words))

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return String(port)
}

const env = {
  ...process.env,
  PORT: await freePort(),
  ADMIN_PORT: await freePort(),
  VAULT_KEYS: `ci:${randomBytes(32).toString('base64')}`
}
const isHealthy = () => spawnSync(health[0], health.slice(1), { env }).status === 0
const readiness = () =>
  fetch(`http://127.0.0.1:${env.PORT}/readyz`).then(
    (reply) => reply.status,
    () => undefined
  )
const fail = (fault) => {
  console.error(fault)
  process.exit(1)
}

if (isHealthy()) fail('The health check passes before there is a server')
const server = spawn(command[0], command.slice(1), { env, stdio: ['ignore', 'inherit', 'inherit'] })
process.on('exit', () => server.kill('SIGKILL'))
const ended = once(server, 'exit')
const started = performance.now()
setTimeout(() => fail(`Not done within ${LIMIT_MS} ms`), LIMIT_MS).unref()

while ((await readiness()) !== 200) {
  if (server.exitCode !== null || server.signalCode !== null) fail('The server ended before it was ready')
  await sleep(20)
}
console.log(`/readyz answered 200 after ${Math.round(performance.now() - started)} ms`)
if (!isHealthy()) fail('The health check fails while /readyz answers 200')
server.kill('SIGTERM')
const [code, signal] = await ended
if (code !== 0) fail(`Ended with ${code ?? signal} on SIGTERM, not with 0`)
console.log('Ended with 0 on SIGTERM')
