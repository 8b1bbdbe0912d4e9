interface FaultOptions {
  /** Sends this answer instead: an object as JSON, a string as text/plain unless a header says otherwise. */
  status: { status: number; body?: unknown; headers?: Record<string, string> }
  /** Executes the request, then sends this answer instead. */
  'status-after': FaultOptions['status']
  /** Cloudflare's 403 page. */
  html: object
  /** Executes the request at once and answers after a delay. */
  slow: { delayMs: number }
  /** Accepts the request and never answers. */
  hang: object
  /** Sends the headers and half of the body at once, the rest after a delay. */
  'slow-body': { delayMs: number }
  /** Resets the connection without executing the request. */
  'reset-before': object
  /** Executes the request, then resets the connection: the answer is lost. */
  'reset-after': object
  /**
   * Executes the request, sends only this many bytes of the answer, headers included, and closes the connection.
   * `bytes` is taken modulo the length of the answer. `framing` is how the answer states its length: by
   * Content-Length, in chunks, or by the end of the connection.
   */
  cut: { bytes: number; framing?: 'length' | 'chunked' | 'close' }
  /** 200 with incomplete JSON and a Content-Length that matches it. */
  truncated: object
  /** The real status with an empty body. */
  empty: object
  /** The real answer, labeled text/plain. */
  'wrong-type': object
  /** 200 with 3 MiB of JSON. */
  huge: object
}

export type FaultKind = keyof FaultOptions
export type Fault<K extends FaultKind = FaultKind> = { [P in K]: { kind: P } & FaultOptions[P] }[K]

/** Which requests a fault hits: the next `times` (1) of `method` (any) whose decoded path starts with `path` (any). */
export interface FaultTarget {
  times?: number
  method?: string
  path?: string
}

/** The queue of faults. A request is hit by the first fault that matches it. */
export function createFaults() {
  let queue: { fault: Fault & FaultTarget; left: number }[] = []

  return {
    add(fault: Fault & FaultTarget): void {
      queue.push({ fault, left: fault.times ?? 1 })
    },
    clear(): void {
      queue = []
    },
    take(method: string, path: string): Fault | undefined {
      if (queue.length === 0) return undefined
      const decoded = decode(path)
      const next = queue.find(
        ({ fault }) => (fault.method ?? method) === method && decoded.startsWith(fault.path ?? '')
      )
      if (next === undefined) return undefined
      next.left -= 1
      if (next.left <= 0) queue = queue.filter((one) => one !== next)
      return next.fault
    }
  }
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
