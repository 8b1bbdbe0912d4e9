import { Redis } from 'ioredis'
import type { BaseLogger } from 'pino'

/** A Redis that has not answered within this time is one that is down: no call waits for it longer, and none twice. */
const PATIENCE_MS = 40
const PROBE_EVERY_MS = 500
/** A connection on which not even a probe was answered for so long is given up for a new one. */
const GIVE_UP_MS = 2_000
const FIRST_CONTACT_MS = 500
const PROOF_MS = 5_000
/** While it is down, one line this often. */
const REMIND_EVERY_MS = 60_000

export interface SharedRedis {
  client: Redis
  isUp(): boolean
  /** The outcome of `work`; `undefined` at once while Redis is down, or where it does not answer in time. */
  attempt<T>(work: () => Promise<T>): Promise<T | undefined>
  /** The same for what is worth a longer wait: it is tried while there is a connection, whatever others have met with. */
  insist<T>(ms: number, work: () => Promise<T>): Promise<T | undefined>
  close(): Promise<void>
}

/** A timer that fires so much too late says that this process was busy, not that Redis is slow. */
const LATE_MS = 5
const MAX_RESTARTS = 2

/**
 * Resolves with `undefined` once the time is over. Time in which this process was too busy to send or to read does not
 * count: the wait begins anew.
 */
async function inTime<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  const { promise: expiry, resolve } = Promise.withResolvers<undefined>()
  let timer: NodeJS.Timeout
  const start = (again: number) => {
    const dueAt = performance.now() + ms
    timer = setTimeout(() => {
      if (again > 0 && performance.now() > dueAt + LATE_MS) start(again - 1)
      // What has arrived by now, though not been read, is read first.
      else setImmediate(resolve, undefined)
    }, ms)
  }
  start(MAX_RESTARTS)
  return Promise.race([work, expiry]).finally(() => clearTimeout(timer))
}

const options = {
  lazyConnect: true,
  enableOfflineQueue: false,
  enableAutoPipelining: true,
  maxRetriesPerRequest: 0,
  connectTimeout: GIVE_UP_MS,
  retryStrategy: (attempt: number) => Math.min(2_000, 100 * 2 ** Math.min(attempt, 5)) * (0.5 + Math.random() / 2)
}

/**
 * Redis as something that may be missing: it need not be there at the start, may go, hang and come back. Never rejects,
 * since limits are counted without it then. The address may bring a prefix of all keys: `redis://host:6379/0?keyPrefix=a:`.
 */
export async function openRedis(url: string, log: BaseLogger): Promise<SharedRedis> {
  const client = new Redis(url, options)
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

  /** Like the calls themselves a write: a Redis that only answers reads is of no use. */
  const probe = async (): Promise<void> => {
    const isReady = client.status === 'ready'
    const write = () => inTime(PROBE_EVERY_MS, client.set('rg:probe', '1', 'PX', 1_000)).catch(setDown)
    if (isReady && (await write()) === 'OK') setUp()
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
  await inTime(FIRST_CONTACT_MS, connecting)
  if (!up) setDown(new Error('Redis did not answer at the start'))

  return {
    client,
    isUp: () => up,
    async attempt(work) {
      if (!up) return undefined
      try {
        const outcome = await inTime(PATIENCE_MS, work())
        if (outcome === undefined) setDown(new Error(`Redis did not answer within ${PATIENCE_MS} ms`))
        return outcome
      } catch (error) {
        setDown(error)
        return undefined
      }
    },
    async insist(ms, work) {
      if (client.status !== 'ready') return undefined
      return inTime(ms, work()).catch(() => undefined)
    },
    async close() {
      isClosed = true
      up = false
      clearInterval(timer)
      await inTime(FIRST_CONTACT_MS, client.quit()).catch(() => undefined)
      client.disconnect()
    }
  }
}

/** Rejects where Redis cannot be written to, and says why. */
export async function proveRedis(url: string): Promise<void> {
  const client = new Redis(url, { ...options, retryStrategy: () => null })
  let fault: Error | undefined
  client.on('error', (error: Error) => {
    fault = error
  })
  try {
    const written = client.connect().then(() => client.set('rg:probe', '1', 'PX', 1_000))
    if ((await inTime(PROOF_MS, written)) === undefined) throw new Error(`no answer within ${PROOF_MS / 1_000} s`)
  } catch (error) {
    throw fault ?? error
  } finally {
    client.disconnect()
  }
}
