import { Redis, type Result } from 'ioredis'
import type { BaseLogger } from 'pino'
import type { Clock } from './clock.ts'
import { withTimeout } from './timeout.ts'

declare module 'ioredis' {
  interface RedisCommander<Context> {
    probeScripts(key: string): Result<unknown, Context>
  }
}

/** A Redis that takes longer to answer counts as down: no call waits longer, but one with `If-Match` (`runWithin`), and none waits twice. */
const ANSWER_TIMEOUT_MS = 40
const PROBE_EVERY_MS = 500
/** A connection whose probes stay unanswered for this long is replaced. */
const RECONNECT_AFTER_MS = 2_000
const CONNECT_WAIT_MS = 500
const VERIFY_TIMEOUT_MS = 5_000
/** While Redis is down, the warning is repeated this often. */
const REPEAT_WARNING_MS = 60_000

/** Whether an answer has the expected shape. An unexpected answer counts as none: Redis is down. */
export type CheckAnswer<T> = (answer: unknown) => answer is T

export interface SharedRedis {
  client: Redis
  isUp(): boolean
  /** The answer to `work`. `undefined` if Redis does not answer in time, and at once while it is down. */
  run<T>(work: () => Promise<unknown>, check: CheckAnswer<T>): Promise<T | undefined>
  /** The same with a longer wait. It is tried whenever there is a connection, even while Redis counts as down. */
  runWithin<T>(ms: number, work: () => Promise<unknown>, check: CheckAnswer<T>): Promise<T | undefined>
  close(): Promise<void>
}

export const isCount = (answer: unknown): answer is number => Number.isSafeInteger(answer) && Number(answer) >= 0
export const isZeroOrOne = (answer: unknown): answer is 0 | 1 => answer === 0 || answer === 1

/** Writes from a script, as calls do: a server that answers only reads or plain commands is of no use. */
const PROBE_SCRIPT = `
redis.call('SET', KEYS[1], '1', 'PX', 1000)
return { 1, 2 }
`
const isProbeAnswer = (answer: unknown): answer is [1, 2] =>
  Array.isArray(answer) && answer.length === 2 && answer[0] === 1 && answer[1] === 2
const PROBE_KEY = 'rg:probe'

const openClient = (url: string, retryStrategy: (attempt: number) => number | null): Redis => {
  const client = new Redis(url, { ...options, retryStrategy })
  client.defineCommand('probeScripts', { numberOfKeys: 1, lua: PROBE_SCRIPT })
  return client
}

export const unexpectedAnswer = (): Error => new Error('Redis gave an unexpected answer')

const options = {
  lazyConnect: true,
  enableOfflineQueue: false,
  enableAutoPipelining: true,
  maxRetriesPerRequest: 0,
  connectTimeout: RECONNECT_AFTER_MS
}
const reconnectMs = (attempt: number) => Math.min(2_000, 100 * 2 ** Math.min(attempt, 5)) * (0.5 + Math.random() / 2)

/**
 * A Redis that may be unavailable: at the start or later, closed or hanging. Never rejects, since limits are then
 * counted without it. The URL may set a prefix for all keys: `redis://host:6379/0?keyPrefix=a:`.
 */
export async function openRedis(url: string, log: BaseLogger, clock: Clock): Promise<SharedRedis> {
  const client = openClient(url, reconnectMs)
  let up = false
  let downSince = clock.monotonic()
  let warnedAt = Number.NEGATIVE_INFINITY
  let isClosed = false

  const setUp = () => {
    if (up || isClosed) return
    up = true
    log.info('Redis answers: limits are shared')
  }
  const setDown = (err: unknown) => {
    if (isClosed) return
    const at = clock.monotonic()
    if (up) downSince = at
    if (up || at - warnedAt > REPEAT_WARNING_MS) {
      warnedAt = at
      log.warn({ err }, 'Redis does not answer: limits are counted in this process alone')
    }
    up = false
  }

  const probe = async (): Promise<void> => {
    const isReady = client.status === 'ready'
    const answer = isReady && (await withTimeout(clock, PROBE_EVERY_MS, client.probeScripts(PROBE_KEY)).catch(setDown))
    if (isProbeAnswer(answer)) setUp()
    // Connected, but unanswered: in `connect`, not even the commands that open a connection were answered.
    else if (isReady || client.status === 'connect') {
      if (clock.monotonic() - downSince < RECONNECT_AFTER_MS) return
      downSince = clock.monotonic()
      client.disconnect(true)
    }
  }

  client.on('ready', () => void probe())
  client.on('error', setDown)
  client.on('close', () => setDown(new Error('The connection to Redis is closed')))
  const timer = clock.every(PROBE_EVERY_MS, () => void (up || probe())).unref()
  const connecting = client.connect().then(probe, setDown)
  await withTimeout(clock, CONNECT_WAIT_MS, connecting)
  if (!up) setDown(new Error('Redis did not answer at the start'))

  return {
    client,
    isUp: () => up,
    async run(work, check) {
      if (!up) return undefined
      try {
        const answer = await withTimeout(clock, ANSWER_TIMEOUT_MS, work())
        if (answer !== undefined && check(answer)) return answer
        setDown(
          answer === undefined ? new Error(`Redis did not answer within ${ANSWER_TIMEOUT_MS} ms`) : unexpectedAnswer()
        )
      } catch (error) {
        setDown(error)
      }
      return undefined
    },
    async runWithin(ms, work, check) {
      if (client.status !== 'ready') return undefined
      const answer = await withTimeout(clock, ms, work()).catch(() => undefined)
      if (answer === undefined || check(answer)) return answer
      setDown(unexpectedAnswer())
      return undefined
    },
    async close() {
      isClosed = true
      up = false
      clock.cancel(timer)
      await withTimeout(clock, CONNECT_WAIT_MS, client.quit()).catch(() => undefined)
      client.disconnect()
    }
  }
}

/** Rejects with the reason if Redis cannot be written to. */
export async function verifyRedis(url: string, clock: Clock): Promise<void> {
  const client = openClient(url, () => null)
  let connectionError: Error | undefined
  client.on('error', (error: Error) => {
    connectionError = error
  })
  try {
    const answer = await withTimeout(
      clock,
      VERIFY_TIMEOUT_MS,
      client.connect().then(() => client.probeScripts(PROBE_KEY))
    )
    if (answer === undefined) throw new Error(`no answer within ${VERIFY_TIMEOUT_MS / 1_000} s`)
    if (!isProbeAnswer(answer)) throw unexpectedAnswer()
  } catch (error) {
    throw connectionError ?? error
  } finally {
    client.disconnect()
  }
}
