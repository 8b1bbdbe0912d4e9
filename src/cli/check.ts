import { connect as connectTcp, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { proveRedis } from '../shared/redis.ts'
import { type Command, nothing } from './command.ts'

const TIMEOUT_MS = 5_000

/** Resolves when a connection to the origin stands; for https with a certificate that holds. */
function reach(origin: string): Promise<void> {
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
  does: 'checks the configuration, the vault, Redis and the way to HighLevel',
  read(args) {
    nothing(args)
    return async ({ vault, config }) => {
      const tried = async (name: string, work: Promise<void>) =>
        work.then(
          () => ({ name, ok: true, detail: 'ok' }),
          (error: unknown) => ({ name, ok: false, detail: error instanceof Error ? error.message : String(error) })
        )
      // The configuration and the keys have passed: the command would not have come this far.
      const checks = [
        { name: 'configuration', ok: true, detail: 'ok' },
        await tried('vault', vault.assertWritable()),
        ...(config.redisUrl === undefined ? [] : [await tried('redis', proveRedis(config.redisUrl))]),
        await tried('upstream', reach(config.highLevel.apiUrl))
      ]
      const ok = checks.every((row) => row.ok)
      return { ok, document: { ok, checks }, text: checks.map((row) => `${row.name}: ${row.detail}`).join('\n') }
    }
  }
}
