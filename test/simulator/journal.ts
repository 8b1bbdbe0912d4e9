import type { IncomingHttpHeaders } from 'node:http'

const KEPT = 20_000

/** One API request as it came; `path` has no query and is still percent-encoded. */
export interface Received {
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
  let requests: Received[] = []
  let stored: Received[] = []
  const tokenCalls: TokenCall[] = []

  return {
    tokenCalls,
    add(request: Received): void {
      requests.push(request)
      if (requests.length >= 2 * KEPT) requests = requests.slice(-KEPT)
    },
    addStored(write: Received): void {
      stored.push(write)
      if (stored.length >= 2 * KEPT) stored = stored.slice(-KEPT)
    },
    /** Writes that a record holds or has held. */
    stored: (): Received[] => stored.slice(-KEPT),
    requests({ method, path = '' }: { method?: string; path?: string } = {}): Received[] {
      const fits = (request: Received) =>
        (method === undefined || request.method === method) && request.path.startsWith(path)
      return requests.slice(-KEPT).filter(fits)
    },
    clear(): void {
      requests = []
    }
  }
}
