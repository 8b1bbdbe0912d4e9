import { once } from 'node:events'
import pino, { type DestinationStream, type Logger } from 'pino'
import { within } from './within.ts'

/** Lines are written in pieces of this size, or when they have waited this long: a write a line would be a system call a call. */
const MIN_WRITE_BYTES = 16_000
const LONGEST_WAIT_MS = 200
/** What a reader that reads takes at the end. */
const LAST_WRITE_MS = 1_000

const MAX_CAUSES = 4

/** Of an error only what is known to hold no value: drivers hang queries, rows and requests on theirs. */
function errorLine(error: unknown, depth = 0): object {
  if (!(error instanceof Error)) return { type: typeof error }
  const { name, message, stack, cause } = error
  const code = (error as { code?: unknown }).code
  return {
    type: name,
    message,
    ...(typeof code === 'string' && { code }),
    stack,
    ...(cause !== undefined && depth < MAX_CAUSES && { cause: errorLine(cause, depth + 1) })
  }
}

/** What writes the one line of a call. */
export type WriteLine = (level: 'info', record: object, msg: string) => void

/**
 * Writes a record as pino would, for records of plain values. pino walks the members one by one, which for the line of
 * a call costs six times what the engine's own serializer takes.
 */
const lineWriter =
  (log: Logger, stream: DestinationStream): WriteLine =>
  (level, record, msg) => {
    if (!log.isLevelEnabled(level)) return
    const head = `{"level":${log.levels.values[level]},"time":${Date.now()},"msg":${JSON.stringify(msg)}`
    const members = JSON.stringify(record).slice(1)
    stream.write(`${head}${members === '}' ? '' : ','}${members}\n`)
  }

/**
 * Not `flushSync`, which goes round for ever on a pipe whose reader has gone, and stands still on one that is full. Once
 * destroyed, the stream is not flushed so at the end of the process either.
 */
async function closeBuffered(buffered: ReturnType<typeof pino.destination> | undefined): Promise<void> {
  if (buffered === undefined) return
  const closed = once(buffered, 'close').then(
    () => undefined,
    () => undefined
  )
  buffered.end()
  await within(LAST_WRITE_MS, () => closed)
  buffered.destroy()
}

export interface Log {
  log: Logger
  writeLine: WriteLine
  close: () => Promise<void>
}

/** A JSON line a record, to standard output unless a stream is given. `close` writes out what is still held, where somebody reads it. */
export function openLog(level: string, stream?: DestinationStream): Log {
  const buffer = { dest: 1, sync: false, minLength: MIN_WRITE_BYTES, periodicFlush: LONGEST_WAIT_MS }
  const buffered = stream === undefined ? pino.destination(buffer) : undefined
  const destination = stream ?? buffered ?? pino.destination(1)
  const serializers = { err: (error: unknown) => errorLine(error) }
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.epochTime, serializers }, destination)
  return { log, writeLine: lineWriter(log, destination), close: () => closeBuffered(buffered) }
}
