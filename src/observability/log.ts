import { once } from 'node:events'
import pino, { type DestinationStream, type Logger } from 'pino'
import { systemClock } from '../shared/clock.ts'
import { waitAtMost } from '../shared/timeout.ts'

/** Lines are written in batches of this size, or after this time: a write per line would be a system call per call. */
const MIN_WRITE_BYTES = 64_000
const MAX_DELAY_MS = 200
/** Time for the reader of standard output to take the last batch at shutdown. */
const LAST_WRITE_MS = 1_000

const MAX_CAUSES = 4

/** Picks the parts of an error that hold no values: drivers attach queries, rows and requests to their errors. */
function serializeError(error: unknown, depth = 0): object {
  if (!(error instanceof Error)) return { type: typeof error }
  const { name, message, stack, cause } = error
  const code = (error as { code?: unknown }).code
  return {
    type: name,
    message,
    ...(typeof code === 'string' && { code }),
    stack,
    ...(cause !== undefined && depth < MAX_CAUSES && { cause: serializeError(cause, depth + 1) })
  }
}

/** Writes the log line of a call. */
export type WriteLine = (level: 'info', record: object, msg: string) => void

/**
 * Writes a record of plain values as pino would. pino serializes member by member, which for the line of a call takes
 * six times as long as JSON.stringify.
 */
const createLineWriter =
  (log: Logger, stream: DestinationStream): WriteLine =>
  (level, record, msg) => {
    if (!log.isLevelEnabled(level)) return
    const head = `{"level":${log.levels.values[level]},"time":${Date.now()},"msg":${JSON.stringify(msg)}`
    const members = JSON.stringify(record).slice(1)
    stream.write(`${head}${members === '}' ? '' : ','}${members}\n`)
  }

/**
 * Collects lines and passes them to standard output in batches, as bytes. On its own, sonic-boom would measure the
 * whole batch again with each line, and encode it twice.
 */
function openOutput() {
  let buffered = ''
  let isClosed = false
  const writeOut = () => {
    if (buffered === '' || isClosed) return
    const bytes = Buffer.from(buffered)
    buffered = ''
    // In this content mode it accepts only buffers, but its type says strings.
    boom.write(bytes as unknown as string)
  }
  // Registered before pino's own listener, which flushes what sonic-boom has.
  process.once('exit', writeOut)
  const boom = pino.destination({
    dest: 1,
    sync: false,
    contentMode: 'buffer',
    minLength: MIN_WRITE_BYTES,
    maxWrite: 2 * MIN_WRITE_BYTES
  })
  const timer = setInterval(() => {
    writeOut()
    boom.flush()
  }, MAX_DELAY_MS).unref()

  return {
    write(line: string): void {
      buffered += line
      if (buffered.length >= MIN_WRITE_BYTES) writeOut()
    },

    /**
     * Does not use `flushSync`: it loops forever on a pipe whose reader has gone, and blocks on a full one. Destroying
     * the stream keeps it from being flushed that way at process exit too.
     */
    async close(): Promise<void> {
      process.off('exit', writeOut)
      clearInterval(timer)
      writeOut()
      isClosed = true
      const closed = once(boom, 'close').then(
        () => undefined,
        () => undefined
      )
      boom.end()
      await waitAtMost(systemClock, LAST_WRITE_MS, () => closed)
      boom.destroy()
    }
  }
}

export interface Log {
  log: Logger
  writeLine: WriteLine
  close: () => Promise<void>
}

/**
 * Logs JSON lines to `stream`, by default standard output. `close` writes what is still buffered, if somebody reads it.
 */
export function openLog(level: string, stream?: DestinationStream): Log {
  const output =
    stream === undefined ? openOutput() : { write: stream.write.bind(stream), close: async () => undefined }
  // Requests and replies hold values and keys: they are never written, whoever logs one.
  const serializers = { err: (error: unknown) => serializeError(error), req: () => undefined, res: () => undefined }
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.epochTime, serializers }, output)
  return { log, writeLine: createLineWriter(log, output), close: output.close }
}
