import { Redis, type Result } from 'ioredis'
import type { BaseLogger } from 'pino'
import { withTimeout } from './timeout.ts'

declare module 'ioredis' {
  interface RedisCommander<Context> {
    probeScripts(key: string): Result<unknown, Context>
  }
}

/** A Redis that has not answered within this time is one that is down: no call waits for it longer, and none twice. */
const PATIENCE_MS = 40
const PROBE_EVERY_MS = 500
/** A connection on which not even a probe was answered for so long is given up for a new one. */
const GIVE_UP_MS = 2_000
const FIRST_CONTACT_MS = 500
const PROOF_MS = 5_000
/** While it is down, one line this often. */
const REMIND_EVERY_MS = 60_000

/** Whether an answer has the shape of what was asked for. One that has not is worth as much as none: Redis is down. */
export type Check<T> = (answer: unknown) => answer is T

export interface SharedRedis {
  client: Redis
  isUp(): boolean
  /** The answer to `work`; `undefined` at once while Redis is down, or where it does not answer in time. */
  attempt<T>(work: () => Promise<unknown>, check: Check<T>): Promise<T | undefined>
  /** The same for what is worth a longer wait: it is tried while there is a connection, whatever others have met with. */
  insist<T>(ms: number, work: () => Promise<unknown>, check: Check<T>): Promise<T | undefined>
  close(): Promise<void>
}

export const isCount = (answer: unknown): answer is number => Number.isSafeInteger(answer) && Number(answer) >= 0
export const isYesOrNo = (answer: unknown): answer is 0 | 1 => answer === 0 || answer === 1

/** A script like those of the calls: where a server answers reads or plain commands alone, it is of no use. */
const PROBE = `
redis.call('SET', KEYS[1], '1', 'PX', 1000)
return { 1, 2 }
`
const isProbed = (answer: unknown): answer is [1, 2] =>
  Array.isArray(answer) && answer.length === 2 && answer[0] === 1 && answer[1] === 2
const PROBE_KEY = 'rg:probe'

const openClient = (url: string, retryStrategy: (attempt: number) => number | null): Redis => {
  const client = new Redis(url, { ...options, retryStrategy })
  client.defineCommand('probeScripts', { numberOfKeys: 1, lua: PROBE })
  return client
}

export const wrongAnswer = (): Error => new Error('Redis answered something else than what it was asked for')

const options = {
  lazyConnect: true,
  enableOfflineQueue: false,
  enableAutoPipelining: true,
  maxRetriesPerRequest: 0,
  connectTimeout: GIVE_UP_MS
}
const reconnectMs = (attempt: number) => Math.min(2_000, 100 * 2 ** Math.min(attempt, 5)) * (0.5 + Math.random() / 2)

/**
 * Redis as something that may be missing: it need not be there at the start, may go, hang and come back. Never rejects,
 * since limits are counted without it then. The address may bring a prefix of all keys: `redis://host:6379/0?keyPrefix=a:`.
 */
export async function openRedis(url: string, log: BaseLogger): Promise<SharedRedis> {
  const client = openClient(url, reconnectMs)
  let up = false
  let downSince = performance.now()
  let remindedAt = Number.NEGATIVE_INFINITY
  let isClosed = false

  const setUp = () => {
    if (up || isClosed) return
    up = true
    log.info('Redis answers: limits are shared')
  }
  const setDown = (err: unknown) => {
    if (isClosed) return
    const at = performance.now()
    if (up) downSince = at
    if (up || at - remindedAt > REMIND_EVERY_MS) {
      remindedAt = at
      log.warn({ err }, 'Redis does not answer: limits are counted in this process alone')
    }
    up = false
  }

  const probe = async (): Promise<void> => {
    const isReady = client.status === 'ready'
    const answer = isReady && (await withTimeout(PROBE_EVERY_MS, client.probeScripts(PROBE_KEY)).catch(setDown))
    if (isProbed(answer)) setUp()
    // Connected, and nobody answers: not even the questions with which a connection begins.
    else if (isReady || client.status === 'connect') {
      if (performance.now() - downSince < GIVE_UP_MS) return
      downSince = performance.now()
      client.disconnect(true)
    }
  }

  client.on('ready', () => void probe())
  client.on('error', setDown)
  client.on('close', () => setDown(new Error('The connection to Redis is closed')))
  const timer = setInterval(() => void (up || probe()), PROBE_EVERY_MS).unref()
  const connecting = client.connect().then(probe, setDown)
  await withTimeout(FIRST_CONTACT_MS, connecting)
  if (!up) setDown(new Error('Redis did not answer at the start'))

  return {
    client,
    isUp: () => up,
    async attempt(work, check) {
      if (!up) return undefined
      try {
        const answer = await withTimeout(PATIENCE_MS, work())
        if (answer !== undefined && check(answer)) return answer
        setDown(answer === undefined ? new Error(`Redis did not answer within ${PATIENCE_MS} ms`) : wrongAnswer())
      } catch (error) {
        setDown(error)
      }
      return undefined
    },
    async insist(ms, work, check) {
      if (client.status !== 'ready') return undefined
      const answer = await withTimeout(ms, work()).catch(() => undefined)
      if (answer === undefined || check(answer)) return answer
      setDown(wrongAnswer())
      return undefined
    },
    async close() {
      isClosed = true
      up = false
      clearInterval(timer)
      await withTimeout(FIRST_CONTACT_MS, client.quit()).catch(() => undefined)
      client.disconnect()
    }
  }
}

/** Rejects where Redis cannot be written to, and says why. */
export async function proveRedis(url: string): Promise<void> {
  const client = openClient(url, () => null)
  let fault: Error | undefined
  client.on('error', (error: Error) => {
    fault = error
  })
  try {
    const answer = await withTimeout(
      PROOF_MS,
      client.connect().then(() => client.probeScripts(PROBE_KEY))
    )
    if (answer === undefined) throw new Error(`no answer within ${PROOF_MS / 1_000} s`)
    if (!isProbed(answer)) throw wrongAnswer()
  } catch (error) {
    throw fault ?? error
  } finally {
    client.disconnect()
  }
}
