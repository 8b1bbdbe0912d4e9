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
  /** Waiting for the object's schema, where no copy was held. */
  schemaMs: number
  /** In line: for the location's quota, and behind earlier writes of the record. */
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

/** Who waits for a call, as those see it who let it wait. */
export interface CallerConnection {
  /** Of the caller: places in line are shared out among callers. */
  id: string
  /** What is destroyed, and says `close`, when the caller hangs up: a response that is not yet sent. */
  response: {
    readonly destroyed: boolean
    once(event: 'close', listener: () => void): unknown
    off(event: 'close', listener: () => void): unknown
  }
}

export const isGone = ({ response }: CallerConnection): boolean => response.destroyed

/** Calls back when the caller hangs up. Returns what takes the listener away again. */
export function onGone({ response }: CallerConnection, listener: () => void): () => void {
  response.once('close', listener)
  return () => response.off('close', listener)
}

/** What every use case hands down with a call. */
export interface CallContext {
  /** When the answer is of no more use, on the clock of `performance.now()`. */
  deadlineAt: number
  callRecord: CallRecord
  write: WriteState
  caller: CallerConnection
}

/** One request to HighLevel. */
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
  /** Whether an answer is another call's. Asked before its connection carries a further call; absent where nothing tells. */
  isMismatched?: (answer: Answer) => boolean
}

/** Whether a call that is on the wire may change a record. */
export const writes = (call: Call): boolean => call.method === 'PUT'

/** A call that needs the token of a location, and a place in its quota. */
export interface LocationCall extends Call, CallContext {
  locationId: string
  /** It finds out whether HighLevel works again: an open circuit lets it pass. */
  isProbe: boolean
  /** It reads what the gateway would like to know of an object: its failures say nothing of calls. */
  isBackground: boolean
  /** HighLevel has refused it once with 429: it goes to the head of the line. */
  isRepeat: boolean
}

/** An answer's text, and the JSON object that it is; or why it is none. */
export type AnswerBody = { text: string; object: Record<string, unknown> } | { unreadable: string }

/** A whole answer, of any status. */
export interface Answer {
  status: number
  /** Lower-case names. */
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Buffer
  /** What the body was found to be, once it was looked at. */
  read?: AnswerBody | undefined
}

/** Rejects with a Problem where no whole answer came. */
export type Send<C extends Call = Call> = (call: C) => Promise<Answer>

/** One policy around the sending of a call. */
export type Layer<C extends Call = Call> = (next: Send<C>) => Send<C>

/** The first layer is the outermost: the list reads in the order in which a call passes through it. */
export const pipeline = <C extends Call>(layers: readonly Layer<C>[], transport: Send<C>): Send<C> =>
  layers.reduceRight((next, layer) => layer(next), transport)
