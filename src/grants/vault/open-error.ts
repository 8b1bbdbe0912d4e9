/** The store cannot be opened. The message says which one, without its password, and why. */
export class OpenError extends Error {
  override readonly name = 'OpenError'

  constructor(url: string, cause: unknown) {
    super(`The database ${place(url)} (DATABASE_URL) cannot be opened: ${reason(cause)}`, { cause })
  }
}

const place = (url: string) => (url.startsWith('sqlite:') ? url : `at ${new URL(url).host}${new URL(url).pathname}`)

/** Of a name with several addresses each one has failed for a reason of its own. */
const reason = (cause: unknown): string =>
  cause instanceof AggregateError
    ? cause.errors.map(reason).join('; ')
    : cause instanceof Error
      ? cause.message
      : String(cause)
