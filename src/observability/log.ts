import { once } from 'node:events'
import pino, { type DestinationStream, type Logger } from 'pino'
import { waitAtMost } from '../shared/timeout.ts'

/** Lines are written in pieces of this size, or when they have waited this long: a write a line would be a system call a call. */
const MIN_WRITE_BYTES = 64_000
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
 * Collects lines, and hands them to standard output in pieces, as bytes. Left to itself sonic-boom would measure all of a
 * piece anew with each line, and encode it twice.
 */
function openOutput() {
  let held = ''
  let isClosed = false
  const hand = () => {
    if (held === '' || isClosed) return
    const bytes = Buffer.from(held)
    held = ''
    // With this content mode it takes nothing else, and its type does not know.
    boom.write(bytes as unknown as string)
  }
  // Before the listener that pino adds, which writes out what sonic-boom has.
  process.once('exit', hand)
  const boom = pino.destination({
    dest: 1,
    sync: false,
    contentMode: 'buffer',
    minLength: MIN_WRITE_BYTES,
    maxWrite: 2 * MIN_WRITE_BYTES
  })
  const timer = setInterval(() => {
    hand()
    boom.flush()
  }, LONGEST_WAIT_MS).unref()

  return {
    write(line: string): void {
      held += line
      if (held.length >= MIN_WRITE_BYTES) hand()
    },

    /**
     * Not with `flushSync`, which goes round for ever on a pipe whose reader has gone, and stands still on one that is
     * full. Once destroyed, the stream is not flushed so at the end of the process either.
     */
    async close(): Promise<void> {
      process.off('exit', hand)
      clearInterval(timer)
      hand()
      isClosed = true
      const closed = once(boom, 'close').then(
        () => undefined,
        () => undefined
      )
      boom.end()
      await waitAtMost(LAST_WRITE_MS, () => closed)
      boom.destroy()
    }
  }
}

export interface Log {
  log: Logger
  writeLine: WriteLine
  close: () => Promise<void>
}

/** A JSON line a record, to standard output unless a stream is given. `close` writes out what is still held, where somebody reads it. */
export function openLog(level: string, stream?: DestinationStream): Log {
  const output =
    stream === undefined ? openOutput() : { write: stream.write.bind(stream), close: async () => undefined }
  // Requests and replies hold values and keys: whatever hangs one on a line, it is not written.
  const serializers = { err: (error: unknown) => errorLine(error), req: () => undefined, res: () => undefined }
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.epochTime, serializers }, output)
  return { log, writeLine: lineWriter(log, output), close: output.close }
}
