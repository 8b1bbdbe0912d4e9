import type { IncomingHttpHeaders } from 'node:http'

const MAX_KEPT = 20_000

/** One API request as it came; `path` has no query and is still percent-encoded. */
export interface ReceivedRequest {
  method: string
  path: string
  query: Record<string, string>
  headers: IncomingHttpHeaders
  body: string
  at: number
}

/** One call of /oauth/token. `status` is 0 where a fault kept the call from being answered at all. */
export interface TokenCall {
  grantType: string
  refreshToken?: string
  at: number
  status: number
  /** The refresh token had been used before, and its grace was still running. */
  withinGrace: boolean
}

/** What came in: the last 20,000 API requests, those of them that were stored, and every token call. */
export function createJournal() {
  let requests: ReceivedRequest[] = []
  let stored: ReceivedRequest[] = []
  const tokenCalls: TokenCall[] = []

  return {
    tokenCalls,
    add(request: ReceivedRequest): void {
      requests.push(request)
      if (requests.length >= 2 * MAX_KEPT) requests = requests.slice(-MAX_KEPT)
    },
    addStored(write: ReceivedRequest): void {
      stored.push(write)
      if (stored.length >= 2 * MAX_KEPT) stored = stored.slice(-MAX_KEPT)
    },
    /** Writes that a record holds or has held. */
    stored: (): ReceivedRequest[] => stored.slice(-MAX_KEPT),
    requests({ method, path = '' }: { method?: string; path?: string } = {}): ReceivedRequest[] {
      const fits = (request: ReceivedRequest) =>
        (method === undefined || request.method === method) && request.path.startsWith(path)
      return requests.slice(-MAX_KEPT).filter(fits)
    },
    clear(): void {
      requests = []
    }
  }
}
