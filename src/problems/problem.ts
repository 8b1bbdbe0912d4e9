import { catalog, type ProblemCode } from './catalog.ts'

/**
 * One error in a request. `pointer` is a JSON Pointer into the body; `parameter` names a path, query or header part.
 */
export type FieldError = { code: string; detail: string } & ({ pointer: string } | { parameter: string })

/** HighLevel's error as callers see it. `message` never contains a value that the caller sent. */
interface UpstreamMessage {
  status: number
  message?: string
  traceId?: string
}

export interface ProblemExtras {
  errors?: readonly FieldError[]
  upstream?: UpstreamMessage
  /** Default `no`: nothing was written yet when the problem was thrown, unless the thrower says otherwise. */
  applied?: 'no' | 'unknown'
  retryAfterSeconds?: number
  /** Additional response headers, such as `allow`. */
  headers?: Record<string, string>
  /** `cause` and `reason` are for the log only, never for the caller. `reason` is a few words of our own. */
  cause?: unknown
  reason?: string | undefined
}

/** An error of the catalog. `detail` is shown to the caller: it must hold no secret and no field value. */
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

  /** A copy with further extras. Code, detail, cause and stack stay. */
  with(extras: ProblemExtras): Problem {
    const copy = new Problem(this.code, this.detail, { ...this.extras, ...extras })
    if (this.stack !== undefined) copy.stack = this.stack
    return copy
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

/** Seconds after which the database may answer again. */
const VAULT_RETRY_SECONDS = 5

/** The vault does not answer. `detail` says what cannot be done without it. */
export const vaultUnavailable = (detail: string, cause?: unknown): Problem =>
  new Problem('vault-unavailable', detail, { retryAfterSeconds: VAULT_RETRY_SECONDS, cause })
