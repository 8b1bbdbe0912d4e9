/** A row of the catalogue. */
export interface CatalogEntry {
  status: number
  /** Whether the same request may be sent again as it is, now or after `Retry-After`. */
  retryable: boolean
  title: string
  /** What the reader of the error should do. Shown at `GET /problems/<code>`. */
  remedy: string
}
