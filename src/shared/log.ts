import pino, { type DestinationStream, type Logger } from 'pino'

/** Lines are written in pieces of this size, or when they have waited this long: a write a line costs as much as the line. */
const MIN_WRITE_BYTES = 16_000
const LONGEST_WAIT_MS = 200

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

/** A JSON line a record, to standard output unless a stream is given. `close` writes out what is still held. */
export function openLog(level: string, stream?: DestinationStream): { log: Logger; close: () => void } {
  const buffered =
    stream === undefined
      ? pino.destination({ dest: 1, sync: false, minLength: MIN_WRITE_BYTES, periodicFlush: LONGEST_WAIT_MS })
      : undefined
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.epochTime,
    serializers: { err: (error: unknown) => errorLine(error) }
  }
  const log = pino(options, buffered ?? stream)
  return {
    log,
    close: () => {
      buffered?.flushSync()
    }
  }
}
