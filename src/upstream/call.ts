/** What one caller's call has cost so far; the log line is made from it. Times are milliseconds. */
export interface Trace {
  attempts: number
  upstreamStatus: number | undefined
  upstreamTraceId: string | undefined
  upstreamMs: number
  tokenMs: number
}

export const createTrace = (): Trace => ({
  attempts: 0,
  upstreamStatus: undefined,
  upstreamTraceId: undefined,
  upstreamMs: 0,
  tokenMs: 0
})

/** One request to HighLevel. */
export interface Call {
  method: 'GET' | 'PUT' | 'POST'
  /** Path and query, percent-encoded. */
  path: string
  body?: string
  contentType?: 'application/json' | 'application/x-www-form-urlencoded'
  authorization?: string
  /** When the answer is of no more use, on the clock of `performance.now()`. */
  deadlineAt: number
  trace: Trace
}

/** Whether a call that is on the wire may change a record. */
export const writes = (call: Call): boolean => call.method === 'PUT'

/** A call that needs the token of a location. */
export interface LocationCall extends Call {
  locationId: string
}

/** A whole answer, of any status. */
export interface Answer {
  status: number
  /** Lower-case names. */
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Buffer
}

/** Rejects with a Problem where no whole answer came. */
export type Send<C extends Call = Call> = (call: C) => Promise<Answer>

/** One policy around the sending of a call. */
export type Layer<C extends Call = Call> = (next: Send<C>) => Send<C>

/** The first layer is the outermost: the list reads in the order in which a call passes through it. */
export const pipeline = <C extends Call>(layers: readonly Layer<C>[], transport: Send<C>): Send<C> =>
  layers.reduceRight((next, layer) => layer(next), transport)
