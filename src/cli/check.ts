import { connect as connectTcp, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { systemClock } from '../shared/clock.ts'
import { verifyRedis } from '../shared/redis.ts'
import { assertNoArguments, type Command } from './command.ts'

const TIMEOUT_MS = 5_000

/** Resolves once a connection to the origin is open; for https, with a valid certificate. */
function tryConnect(origin: string): Promise<void> {
  const { protocol, hostname, port } = new URL(origin)
  const host = hostname.replace(/^\[|\]$/g, '')
  return new Promise((resolve, reject) => {
    const isTls = protocol === 'https:'
    const socket = isTls
      ? connectTls({ host, port: Number(port || 443), ...(isIP(host) === 0 && { servername: host }) })
      : connectTcp({ host, port: Number(port || 80) })
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`no answer within ${TIMEOUT_MS / 1_000} s`)))
    socket.once('error', reject)
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      socket.destroy()
      resolve()
    })
  })
}

export const check: Command = {
  usage: '',
  description: 'checks the configuration, the vault, Redis and the connection to HighLevel',
  parse(args) {
    assertNoArguments(args)
    return async ({ vault, config }) => {
      const runCheck = async (name: string, attempt: Promise<void>) =>
        attempt.then(
          () => ({ name, ok: true, detail: 'ok' }),
          (error: unknown) => ({ name, ok: false, detail: error instanceof Error ? error.message : String(error) })
        )
      // The configuration and the keys are valid, or the command would not have started.
      const checks = [
        { name: 'configuration', ok: true, detail: 'ok' },
        await runCheck('vault', vault.assertWritable()),
        ...(config.redisUrl === undefined ? [] : [await runCheck('redis', verifyRedis(config.redisUrl, systemClock))]),
        await runCheck('upstream', tryConnect(config.highLevel.apiUrl))
      ]
      const ok = checks.every((row) => row.ok)
      return { ok, document: { ok, checks }, text: checks.map((row) => `${row.name}: ${row.detail}`).join('\n') }
    }
  }
}
