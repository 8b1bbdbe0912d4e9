import { callerProblems } from './caller.ts'
import type { CatalogEntry } from './entry.ts'
import { gatewayProblems } from './gateway.ts'
import { locationProblems } from './location.ts'
import { upstreamProblems } from './upstream.ts'

/** Who has to act on a problem. */
export type Source = 'caller' | 'gateway' | 'location' | 'upstream'

const from = <Code extends string>(source: Source, entries: Record<Code, CatalogEntry>) =>
  Object.fromEntries(
    Object.entries<CatalogEntry>(entries).map(([code, entry]) => [code, { ...entry, source }])
  ) as Record<Code, CatalogEntry & { source: Source }>

/** Every error that a caller can meet. The pages of `GET /problems/<code>` are made from it. */
export const catalog = Object.freeze({
  ...from('caller', callerProblems),
  ...from('location', locationProblems),
  ...from('gateway', gatewayProblems),
  ...from('upstream', upstreamProblems)
})

export type ProblemCode = keyof typeof catalog

/** One fault of a request. `pointer` is a JSON Pointer into the body; `parameter` names a path, query or header part. */
export type FieldError = { code: string; detail: string } & ({ pointer: string } | { parameter: string })

/** What HighLevel said. `message` never holds a value that the caller sent. */
export interface UpstreamMessage {
  status: number
  message?: string
  traceId?: string
}

export interface ProblemExtras {
  errors?: readonly FieldError[]
  upstream?: UpstreamMessage
  /** Default `no`: a problem is thrown before anything was written, unless whoever throws it knows better. */
  applied?: 'no' | 'unknown'
  retryAfterSeconds?: number
  /** Further answer headers, such as `allow`. */
  headers?: Record<string, string>
  /** Both for the log alone; never shown to a caller. `reason` is a few words of our own. */
  cause?: unknown
  reason?: string | undefined
}

/** An error with a place in the catalogue. `detail` is for the caller: no secret and no field value belongs in it. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: ProblemCode
  readonly status: number
  readonly detail: string
  readonly extras: ProblemExtras

  constructor(code: ProblemCode, detail: string, extras: ProblemExtras = {}) {
    super(`${code}: ${detail}`, { cause: extras.cause })
    this.code = code
    this.status = catalog[code].status
    this.detail = detail
    this.extras = extras
  }
}

/** The members of an `application/problem+json` document (RFC 9457). */
export function problemDocument(problem: Problem, instance: string, requestId: string) {
  const { title, source, retryable } = catalog[problem.code]
  const { errors, upstream, applied = 'no' } = problem.extras
  return {
    type: `/problems/${problem.code}`,
    title,
    status: problem.status,
    detail: problem.detail,
    instance,
    code: problem.code,
    source,
    retryable,
    applied,
    requestId,
    ...(upstream && { upstream }),
    ...(errors && { errors })
  }
}
