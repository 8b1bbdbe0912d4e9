interface FaultOptions {
  /** Answers this instead: an object as JSON, a string as it is (text/plain unless a header says otherwise). */
  status: { status: number; body?: unknown; headers?: Record<string, string> }
  /** Carries the request out, then answers this instead. */
  'status-after': FaultOptions['status']
  /** Cloudflare's 403 page. */
  html: object
  /** Carries the request out at once and answers late. */
  slow: { delayMs: number }
  /** Accepts the request and never answers. */
  hang: object
  /** Sends the headers and half of the body at once, the rest late. */
  'slow-body': { delayMs: number }
  /** Destroys the socket and carries nothing out. */
  'reset-before': object
  /** Carries the request out, then destroys the socket: a lost answer. */
  'reset-after': object
  /**
   * Carries the request out, sends so many bytes of the answer, head included, and ends the connection. Counting goes on
   * from the first byte after the last one. `framing` is how the answer tells its length: Content-Length, chunks, or
   * the end of the connection.
   */
  cut: { bytes: number; framing?: 'length' | 'chunked' | 'close' }
  /** 200, and JSON that ends in the middle of a body whose length is right. */
  truncated: object
  /** The real status without a body. */
  empty: object
  /** The real answer, called text/plain. */
  'wrong-type': object
  /** 200, and JSON of 3 MiB. */
  huge: object
}

export type FaultKind = keyof FaultOptions
export type Fault<K extends FaultKind = FaultKind> = { [P in K]: { kind: P } & FaultOptions[P] }[K]

/** Which requests a fault is for: the next `times` (1) of the method (any) whose decoded path starts with `path`. */
export interface FaultTarget {
  times?: number
  method?: string
  path?: string
}

/** The faults to come. The first that fits a request is the one it meets. */
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
