import type { IncomingHttpHeaders } from 'node:http'

const MAX_KEPT = 20_000

/** An API request. `path` excludes the query and is still percent-encoded. */
export interface ReceivedRequest {
  method: string
  path: string
  query: Record<string, string>
  headers: IncomingHttpHeaders
  body: string
  at: number
}

/** A call of /oauth/token. `status` is 0 if a fault left it without an answer. */
export interface TokenCall {
  grantType: string
  refreshToken?: string
  at: number
  status: number
  /** The refresh token was already spent, and still within its grace. */
  withinGrace: boolean
}

/** Records the last 20,000 API requests, the last 20,000 stored writes and all token calls. */
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
    /** Requests whose write was stored. */
    stored: (): ReceivedRequest[] => stored.slice(-MAX_KEPT),
    requests({ method, path = '' }: { method?: string; path?: string } = {}): ReceivedRequest[] {
      const matches = (request: ReceivedRequest) =>
        (method === undefined || request.method === method) && request.path.startsWith(path)
      return requests.slice(-MAX_KEPT).filter(matches)
    },
    clear(): void {
      requests = []
    }
  }
}
