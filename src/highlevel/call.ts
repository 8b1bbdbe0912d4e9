/**
 * What is known of the write that one caller's request makes, over all its attempts.
 * `sent`: on the wire, or refused before HighLevel did anything. `applied`: HighLevel answered with a success.
 * `unknown`: an attempt got no answer that tells.
 */
export type WriteOutcome = 'not-sent' | 'sent' | 'applied' | 'unknown'

/** Shared by all calls of one request. Only `write-outcome.ts` changes it. */
export interface WriteState {
  outcome: WriteOutcome
}

/**
 * What one caller's request has cost so far, for its log line and the metrics. The layers write it, and nothing is
 * decided by it. Times are milliseconds.
 */
export interface CallRecord {
  attempts: number
  upstreamStatus: number | undefined
  upstreamTraceId: string | undefined
  upstreamMs: number
  tokenMs: number
  /** Waiting for the object's schema, if it was not cached. */
  schemaMs: number
  /** Waiting for a permit, and behind earlier writes of the record. */
  queueMs: number
}

export const createCallRecord = (): CallRecord => ({
  attempts: 0,
  upstreamStatus: undefined,
  upstreamTraceId: undefined,
  upstreamMs: 0,
  tokenMs: 0,
  schemaMs: 0,
  queueMs: 0
})

/** The caller behind a call: its queueing identity and its disconnect signal. */
export interface CallerConnection {
  /** Queues are fair among these ids. */
  id: string
  /** The response that is not sent yet: it is destroyed and emits `close` when the caller hangs up. */
  response: {
    readonly destroyed: boolean
    once(event: 'close', listener: () => void): unknown
    off(event: 'close', listener: () => void): unknown
  }
}

export const hasHungUp = ({ response }: CallerConnection): boolean => response.destroyed

/** Calls the listener when the caller hangs up. Returns a function that removes the listener. */
export function onHangUp({ response }: CallerConnection, listener: () => void): () => void {
  response.once('close', listener)
  return () => response.off('close', listener)
}

/** What every use case passes on with its calls. */
export interface CallContext {
  /** By when the caller must have an answer, on the monotonic clock. */
  deadlineAt: number
  callRecord: CallRecord
  write: WriteState
  caller: CallerConnection
}

/** A request to HighLevel. It may take several attempts. */
export interface Call extends Pick<CallContext, 'deadlineAt' | 'callRecord' | 'write'> {
  method: 'GET' | 'PUT' | 'POST'
  /** Path and query, percent-encoded. */
  path: string
  body?: string | undefined
  contentType?: 'application/json' | 'application/x-www-form-urlencoded'
  authorization?: string | undefined
  /** Whether its latest attempt went on the wire. */
  isSent: boolean
  /** Called each time it goes on the wire. */
  onSent?: (() => void) | undefined
  /**
   * Whether an answer belongs to another call. Asked before the connection carries its next call. Absent when nothing
   * in the answer tells.
   */
  isMismatched?: (answer: Answer) => boolean
}

/** Whether a call may change a record. */
export const writes = (call: Call): boolean => call.method === 'PUT'

/** A call that needs a location's token and a permit of its quota. */
export interface LocationCall extends Call, CallContext {
  locationId: string
  /** It tests whether HighLevel works again: an open circuit lets it pass. */
  isProbe: boolean
  /** It reads a schema: its failures do not count for the circuit breaker. */
  isBackground: boolean
  /** HighLevel has answered it with 429 before: it goes to the head of the queue. */
  isRepeat: boolean
}

/** The text of an answer and its JSON object, or why it cannot be read. */
export type AnswerBody = { text: string; object: Record<string, unknown> } | { unreadable: string }

/** A complete answer, of any status. */
export interface Answer {
  status: number
  /** By lower-case name. */
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Buffer
  /** Set by `parseBody`. */
  parsedBody?: AnswerBody | undefined
}

/** Rejects with a Problem when no complete answer came. */
export type Send<C extends Call = Call> = (call: C) => Promise<Answer>

/** One policy around sending a call. */
export type Layer<C extends Call = Call> = (next: Send<C>) => Send<C>

/** A call passes the layers in the order of the list. */
export const pipeline = <C extends Call>(layers: readonly Layer<C>[], transport: Send<C>): Send<C> =>
  layers.reduceRight((next, layer) => layer(next), transport)
